//! Wake-on-LAN: the packet that lets a sleeping machine start.

use serde::Serialize;
use std::fmt;

/// How often the address stands in a packet.
const REPEATS: usize = 16;

/// The address of a network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// Parses six pairs of hexadecimal digits with `:` or `-` between them. Nothing of the addresses
    /// that no card has: those of all machines and of groups, and of none.
    pub fn parse(text: &str) -> Option<Self> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next()?;
            let is_hex = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16).ok().filter(|_| is_hex)?;
        }
        let is_group = bytes[0] & 1 == 1;
        (parts.next().is_none() && !is_group && bytes != [0; 6]).then_some(Self(bytes))
    }

    /// Returns the magic packet: six bytes 0xff, then the address sixteen times.
    pub fn magic_packet(self) -> Vec<u8> {
        let mut packet = vec![0xff; 6];
        packet.extend(self.0.repeat(REPEATS));
        packet
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> Self {
        address.to_string()
    }
}

/// How a sleeping host is woken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeOnLan {
    /// The address of its network card.
    pub mac: MacAddress,
    /// The host in whose network the packet is sent; none: this machine's own.
    pub via: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_magic_packet_is_six_bytes_and_sixteen_addresses() {
        let mac = MacAddress::parse("0A:1b:2c:3d:4e:5f").unwrap();
        let packet = mac.magic_packet();
        assert_eq!(packet.len(), 102);
        assert_eq!(packet[..6], [0xff; 6]);
        assert!(packet[6..].chunks(6).all(|part| part == [0x0a, 0x1b, 0x2c, 0x3d, 0x4e, 0x5f]));
        assert_eq!(mac.to_string(), "0a:1b:2c:3d:4e:5f");
        assert_eq!(MacAddress::parse("0a-1b-2c-3d-4e-5f"), Some(mac));
    }

    #[test]
    fn what_no_card_has_is_refused() {
        for text in [
            "",
            "0a:1b:2c:3d:4e",
            "0a:1b:2c:3d:4e:5f:60",
            "0a:1b:2c:3d:4e:5g",
            "0a:1b:2c:3d:4e:+5",
            "0a1b2c3d4e5f",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "01:1b:2c:3d:4e:5f",
        ] {
            assert_eq!(MacAddress::parse(text), None, "{text}");
        }
    }
}
