//! Choosing a theme: each is shown while it is selected, and one is kept or the old one comes back.

use crate::dash::demo::{self, model};
use crate::dash::tests::keys::press;
use crate::dash::tests::screens::{draw, look, snap, text};
use crate::dash::{Depth, Effect, Look, Model, Overlay, Role, ThemePair, Wish};
use jiff::tz::TimeZone;

fn with_nord(columns: u16, rows: u16) -> Model {
    model(demo::troubled(), columns, rows).with_theme("nord".to_owned())
}

fn choosing(columns: u16, rows: u16) -> Model {
    let mut model = with_nord(columns, rows);
    assert_eq!(press(&mut model, ":theme\n"), []);
    model
}

fn shown(name: Option<&str>) -> Effect {
    Effect::Terminal(Wish::ShowTheme(name.map(str::to_owned)))
}

#[test]
fn a_theme_is_shown_while_it_is_selected_and_the_old_one_comes_back() {
    let mut model = choosing(80, 24);
    let Some(Overlay::Themes { names, selected }) = model.overlay() else { panic!("no choice") };
    assert_eq!(names[*selected], "nord");
    let next = names[*selected + 1].clone();
    assert_eq!(press(&mut model, "j"), [shown(Some(&next))]);
    // Back on the one that is there, which may be that of a file.
    assert_eq!(press(&mut model, "k"), [shown(None)]);
    press(&mut model, "j");
    assert_eq!(press(&mut model, "\u{1b}"), [shown(None)]);
    assert!(model.overlay().is_none());
    assert_eq!(model.theme, "nord");
}

#[test]
fn a_theme_that_is_taken_is_kept_also_by_its_name_alone() {
    let mut model = choosing(80, 24);
    let themes = ThemePair::names().count();
    press(&mut model, "G");
    let kept = press(&mut model, "\n");
    let last = ThemePair::names().nth(themes - 1).unwrap().to_owned();
    let stays = || Effect::Terminal(Wish::LetThemeStay);
    let keep = |theme: String| Effect::KeepTheme { theme };
    assert_eq!(kept, [shown(Some(&last)), stays(), keep(last.clone())]);
    assert_eq!(model.theme, last);
    let mut model = with_nord(80, 24);
    let wanted = "gruvbox-light".to_owned();
    let kept = press(&mut model, ":theme gruvbox-light\n");
    assert_eq!(kept, [shown(Some(&wanted)), stays(), keep(wanted)]);
}

#[test]
fn the_look_goes_back_to_what_it_was_or_stays() {
    let nord = ThemePair::named("nord").unwrap();
    let look = Look::new(nord, Depth::True, false, TimeZone::UTC);
    let background = |look: &Look| look.style(Role::Text);
    let tried = look.clone().with_theme(Some("gruvbox-light")).with_theme(Some("solarized-dark"));
    assert_ne!(background(&tried), background(&look));
    assert_eq!(background(&tried.clone().with_theme(None)), background(&look));
    let stays = tried.clone().let_theme_stay();
    assert_eq!(background(&stays.clone().with_theme(None)), background(&tried));
    assert_eq!(background(&look.clone().with_theme(Some("no such theme"))), background(&look));
}

#[test]
fn the_choice_of_a_theme() {
    snap("themes", choosing);
    for (columns, rows) in [(80, 24), (40, 10), (20, 5)] {
        let drawn = text(&draw(&choosing(columns, rows), &look(false)));
        assert!(drawn.contains("› nord"), "{drawn}");
    }
}
