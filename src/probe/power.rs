//! What a machine says of its supplies of power, as `power.sh` prints it.

use crate::fleet::PowerFacts;

/// What supplies of power said so far.
#[derive(Default)]
pub struct Power {
    on_mains: Option<bool>,
    charges: Vec<u8>,
    discharging: bool,
}

impl Power {
    /// Takes a line of the script; what is no line of it changes nothing.
    pub fn take(&mut self, key: &str, value: &str) {
        match key {
            // 1 when it is connected; 2 is a USB supply that can be programmed.
            "mains" => {
                if let Ok(online) = value.parse::<u8>() {
                    self.on_mains = Some(self.on_mains.unwrap_or(false) || online > 0);
                }
            }
            "battery" => self.charges.extend(value.parse::<u8>().ok().map(|of| of.min(100))),
            "battery_status" => self.discharging |= value == "Discharging",
            _ => {}
        }
    }

    /// Returns the facts; none for a machine without a battery, which is on mains or off.
    pub fn facts(self) -> Option<PowerFacts> {
        let count = self.charges.len();
        if count == 0 {
            return None;
        }
        let sum: usize = self.charges.iter().map(|&charge| usize::from(charge)).sum();
        Some(PowerFacts {
            on_mains: Some(self.on_mains.unwrap_or(!self.discharging)),
            battery: u8::try_from(sum / count).ok(),
        })
    }
}
