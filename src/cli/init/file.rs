//! Adds what is proposed to the text of `hosts.toml`, and changes nothing that is there.
//!
//! Pure. What a person wrote stays as it was, comments and order included: a host or a table that
//! the text already has is left out of the addition.

use crate::cli::init::join::{Proposal, ProposedHost};
use crate::cli::init::tiers::free_name;
use crate::cli::words::most_processors;
use crate::fleet::KindName;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

/// What a file that is made begins with.
const HEAD: &str = "# The fleet, as `nixdash init` found it. `nixdash config check` checks it after a change, and\n\
                    # `nixdash config keys` explains every key.\n";

/// Widest comment, in characters.
const WIDTH: usize = 100;

/// Returns the text with what is proposed and not there yet, or why nothing can be added to it.
pub(super) fn add(text: &str, proposal: &Proposal) -> Result<String, String> {
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
    let is_new = text.trim().is_empty();
    if !document.contains_key("fleet") {
        document.insert("fleet", Item::Table(fleet(proposal, is_new)));
    }
    let hosts = document.entry("hosts").or_insert_with(|| {
        let mut hosts = Table::new();
        hosts.set_implicit(true);
        Item::Table(hosts)
    });
    let hosts = hosts.as_table_mut().ok_or("`hosts` is not written as [hosts.NAME]")?;
    for host in &proposal.hosts {
        if !hosts.contains_key(&host.name) {
            hosts.insert(&host.name, Item::Table(host_table(host)));
        }
    }
    add_tiers(&mut document, proposal, is_new)?;
    if is_new && !proposal.notes.is_empty() {
        let notes: String = proposal.notes.iter().map(|note| comment(note)).collect();
        document.set_trailing(format!("\n{notes}"));
    }
    Ok(document.to_string())
}

/// Adds the tiers, and to a file that is made the stores of the hosts themselves.
fn add_tiers(document: &mut DocumentMut, proposal: &Proposal, is_new: bool) -> Result<(), String> {
    if proposal.tiers.is_empty() {
        return Ok(());
    }
    let tiers = document.entry("tiers").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let tiers = tiers.as_array_of_tables_mut().ok_or("`tiers` is not written as [[tiers]]")?;
    for tier in &proposal.tiers {
        let mut table = Table::new();
        let notes: String = tier.notes.iter().map(|note| comment(note)).collect();
        table.decor_mut().set_prefix(format!("\n{notes}"));
        table.insert("name", value(&tier.name));
        table.insert("kind", value(tier.kind));
        table.insert("url", value(&tier.url));
        if let Some(key) = &tier.public_key {
            table.insert("public_key", value(key));
        }
        if let Some(host) = &tier.host {
            table.insert("host", value(host));
        }
        tiers.push(table);
    }
    if is_new {
        let mut table = Table::new();
        let note = comment("What the hosts have in their own stores.");
        table.decor_mut().set_prefix(format!("\n{note}"));
        let taken: Vec<String> = proposal.tiers.iter().map(|tier| tier.name.clone()).collect();
        table.insert("name", value(free_name("stores", &taken)));
        table.insert("kind", value(KindName::Local.word()));
        tiers.push(table);
    }
    Ok(())
}

/// Makes `[fleet]`.
fn fleet(proposal: &Proposal, is_new: bool) -> Table {
    let mut table = Table::new();
    table.decor_mut().set_prefix(if is_new { format!("{HEAD}\n") } else { "\n".to_owned() });
    if let Some(flake) = &proposal.flake {
        table.insert("flake", value(flake));
        builder(&mut table, proposal);
    }
    if let Some(ssh_config) = &proposal.ssh_config {
        table.insert("ssh_config", value(ssh_config.to_string_lossy().into_owned()));
    }
    table
}

/// Writes who builds, and how it comes to the others.
fn builder(table: &mut Table, proposal: &Proposal) {
    if let Some(builder) = &proposal.builder {
        set(table, "builder", value(&builder.host), std::slice::from_ref(&builder.note));
        if !builder.serves {
            let why = format!(
                "No cache serves the store of {}, so it copies what it built over ssh.",
                builder.host
            );
            set(table, "strategy", value("push"), &[why]);
        }
        return;
    }
    let mut notes = vec![
        "Each host builds its own system, because it is not known which host builds for the others. \
         To let one build for all, write builder = \"NAME\", and strategy = \"via-cache\" (the \
         builder serves a cache) or \"push\" (it copies over ssh)."
            .to_owned(),
    ];
    if let Some((host, cpus)) = &proposal.strongest {
        notes.push(most_processors(host, *cpus));
    }
    set(table, "strategy", value("direct"), &notes);
}

/// Makes the table of a host.
fn host_table(host: &ProposedHost) -> Table {
    let mut table = Table::new();
    let notes: String = host.notes.iter().map(|note| comment(note)).collect();
    table.decor_mut().set_prefix(format!("\n{notes}"));
    if let Some(addresses) = &host.addresses {
        table.insert("addresses", value(addresses.iter().collect::<Array>()));
    }
    if let Some(system) = &host.system {
        table.insert("system", value(system));
    }
    table
}

/// Sets a key of a table, with sentences above it.
fn set(table: &mut Table, key: &str, item: Item, notes: &[String]) {
    table.insert(key, item);
    if let Some(mut key) = table.key_mut(key) {
        let notes: String = notes.iter().map(|note| comment(note)).collect();
        key.leaf_decor_mut().set_prefix(notes);
    }
}

/// Returns a sentence as lines of a comment.
fn comment(sentence: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in crate::fleet::printable_line(sentence).split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH && line != "#" {
            lines.push_str(&line);
            lines.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    lines.push_str(&line);
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::init::join::Builder;
    use crate::cli::init::tiers::ProposedTier;

    fn proposal() -> Proposal {
        let razer = ProposedHost {
            name: "razer".to_owned(),
            addresses: Some(Vec::new()),
            system: Some("x86_64-linux".to_owned()),
            notes: vec!["This machine has the same name.".to_owned()],
        };
        let samsung = ProposedHost { name: "samsung".to_owned(), ..ProposedHost::default() };
        Proposal {
            flake: Some(".".to_owned()),
            hosts: vec![razer, samsung],
            notes: vec!["\"all\" is left out.".to_owned()],
            ..Proposal::default()
        }
    }

    #[test]
    fn a_file_is_made_of_what_was_found() {
        insta::assert_snapshot!(add("", &proposal()).unwrap());
    }

    #[test]
    fn what_a_person_wrote_stays_and_only_what_is_missing_is_added() {
        let written = "# mine\n[fleet]\nflake = \"/f\" # here\nbuilder = 'p620'\n\n[hosts.samsung]\n\
                       tags = [ \"laptop\" ]\n\n# the cache\n[[tiers]]\nname = \"x\"\n# the end\n";
        let added = add(written, &proposal()).unwrap();
        insta::assert_snapshot!(added);
        assert_eq!(add(&added, &proposal()).unwrap(), added, "a second time adds nothing");
    }

    #[test]
    fn tiers_and_the_builder_are_written_with_what_is_not_sure() {
        let tier = |name: &str, host: Option<&str>, notes: &[&str]| ProposedTier {
            name: name.to_owned(),
            kind: "http",
            url: format!("http://{name}.lan"),
            public_key: None,
            host: host.map(str::to_owned),
            notes: notes.iter().map(|&note| note.to_owned()).collect(),
        };
        let builder = Builder {
            host: "razer".to_owned(),
            serves: false,
            note: "You named razer.".to_owned(),
        };
        let tiers =
            vec![tier("a", None, &["Nobody knows its key."]), tier("b", Some("razer"), &[])];
        let whole = Proposal { tiers, builder: Some(builder), ..proposal() };
        insta::assert_snapshot!(add("", &whole).unwrap());
        let strongest = Some(("razer".to_owned(), 16));
        let direct = add("", &Proposal { strongest, ..proposal() }).unwrap();
        assert!(direct.contains("# razer has the most processors: 16.\n"), "{direct}");
        let error = add("tiers = []\n", &whole).unwrap_err();
        assert!(error.contains("[[tiers]]"), "{error}");
    }

    #[test]
    fn hosts_that_are_no_tables_are_left_alone() {
        let error = add("hosts = { razer = {} }\n", &proposal()).unwrap_err();
        assert!(error.contains("[hosts.NAME]"), "{error}");
    }

    #[test]
    fn no_sentence_ends_its_comment() {
        assert_eq!(comment("one\n[hosts.evil]\u{1b}[2J"), "# one [hosts.evil]\n");
    }
}
