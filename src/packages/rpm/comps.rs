//! comps.xml: groups of packages and environments of groups.
//!
//! The elements are those of yum (yum 3.4.3, yum/comps.py); translations, categories and langpacks are not read.

use super::xml::{Event, Xml};
use crate::packages::error::{IndexError, Problem, malformed};
use crate::packages::input::Input;
use crate::packages::model::{Environment, Group, Names, Universe};

/// Names that all groups together may have; Fedora's have 12,000.
const NAMES: usize = 200_000;

/// Add the groups and environments of a comps.xml to `universe`.
///
/// # Errors
/// It is not such a file, or a group or environment has no id. Some may have been added then.
pub fn add_comps(universe: &mut Universe, input: Input<'_>) -> Result<(), IndexError> {
    let mut xml = Xml::open(input, "comps")?;
    match read(&mut xml, universe) {
        Ok(()) => xml.finish(),
        Err(problem) => Err(xml.error(problem)),
    }
}

fn read(xml: &mut Xml<'_>, universe: &mut Universe) -> Result<(), Problem> {
    let mut left = NAMES;
    loop {
        match xml.next()? {
            Event::Open(element) => match element.name() {
                "group" => {
                    let group = group(xml, &mut universe.names, &mut left)?;
                    universe.groups.push(group);
                }
                "environment" => {
                    let environment = environment(xml, &mut left)?;
                    universe.environments.push(environment);
                }
                _ => xml.skip()?,
            },
            Event::Close => {}
            Event::End => return Ok(()),
        }
        xml.entry = None;
    }
}

/// One name more.
fn count(left: &mut usize) -> Result<(), Problem> {
    *left = left.checked_sub(1).ok_or_else(|| malformed(format_args!("it has more than {NAMES} groups and packages in them")))?;
    Ok(())
}

fn group(xml: &mut Xml<'_>, names: &mut Names, left: &mut usize) -> Result<Group, Problem> {
    let mut group = Group::default();
    count(left)?;
    while let Event::Open(element) = xml.next()? {
        match element.name() {
            "id" => group.id = id(xml, "group")?,
            "packagelist" => packages(xml, names, &mut group, left)?,
            _ => xml.skip()?,
        }
    }
    if group.id.is_empty() { Err(malformed("a group has no id")) } else { Ok(group) }
}

fn packages(xml: &mut Xml<'_>, names: &mut Names, group: &mut Group, left: &mut usize) -> Result<(), Problem> {
    while let Event::Open(element) = xml.next()? {
        if element.name() != "packagereq" {
            xml.skip()?;
            continue;
        }
        count(left)?;
        let (kind, requires) = (element.attribute("type")?.map(String::from), element.attribute("requires")?.map(String::from));
        let name = names.intern(xml.text()?);
        // Group.parse_package_list: a package without a type is mandatory, and one with an unknown type is ignored.
        match kind.as_deref() {
            Some("mandatory" | "") | None => group.mandatory.push(name),
            Some("default") => group.default.push(name),
            Some("optional") => group.optional.push(name),
            Some("conditional") => group.conditional.extend(requires.map(|requires| (name, names.intern(&requires)))),
            Some(_) => {}
        }
    }
    Ok(())
}

fn environment(xml: &mut Xml<'_>, left: &mut usize) -> Result<Environment, Problem> {
    let mut environment = Environment::default();
    count(left)?;
    while let Event::Open(element) = xml.next()? {
        match element.name() {
            "id" => environment.id = id(xml, "environment")?,
            "grouplist" => group_ids(xml, &mut environment.groups, left)?,
            "optionlist" => group_ids(xml, &mut environment.options, left)?,
            _ => xml.skip()?,
        }
    }
    if environment.id.is_empty() { Err(malformed("an environment has no id")) } else { Ok(environment) }
}

fn group_ids(xml: &mut Xml<'_>, ids: &mut Vec<String>, left: &mut usize) -> Result<(), Problem> {
    while let Event::Open(element) = xml.next()? {
        if element.name() == "groupid" {
            count(left)?;
            ids.push(xml.text()?.to_owned());
        } else {
            xml.skip()?;
        }
    }
    Ok(())
}

fn id(xml: &mut Xml<'_>, what: &str) -> Result<String, Problem> {
    let id = xml.text()?.to_owned();
    xml.entry = Some(format!("{what} {id}"));
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::version::Scheme;

    fn read(comps: &str) -> Result<Universe, String> {
        let mut universe = Universe::new(Scheme::Rpm);
        let input = Input::new("comps.xml", comps.as_bytes(), None, 1 << 20).unwrap();
        add_comps(&mut universe, input).map_err(|error| error.to_string())?;
        Ok(universe)
    }

    #[test]
    fn groups_and_environments_are_read() {
        let comps = "<?xml version='1.0' encoding='UTF-8'?>
<!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">
<comps>
  <group>
    <id>core</id><name>Core</name><name xml:lang='de'>Kern</name><default>false</default><uservisible>false</uservisible>
    <packagelist>
      <packagereq type='mandatory'>bash</packagereq><packagereq>yum</packagereq><packagereq type='default'> postfix </packagereq>
      <packagereq type='optional'>dracut-fips</packagereq><packagereq requires='kernel' type='conditional'>kernel-tools</packagereq>
      <packagereq type='conditional'>never</packagereq><packagereq type='odd'>never</packagereq>
    </packagelist>
  </group>
  <category><id>base</id><grouplist><groupid>core</groupid></grouplist></category>
  <environment>
    <id>minimal</id><grouplist><groupid>core</groupid></grouplist><optionlist><groupid>debugging</groupid></optionlist>
  </environment>
  <langpacks><match install='x-%s' name='x'/></langpacks>
</comps>";
        let universe = read(comps).unwrap();
        let [group] = &universe.groups[..] else { panic!("{:?}", universe.groups) };
        let texts = |names: &[crate::packages::Name]| names.iter().map(|name| universe.text(*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(group.id, "core");
        assert_eq!(texts(&group.mandatory), ["bash", "yum"]);
        assert_eq!(texts(&group.default), ["postfix"]);
        assert_eq!(texts(&group.optional), ["dracut-fips"]);
        let conditional: Vec<_> = group.conditional.iter().map(|(name, with)| (universe.text(*name), universe.text(*with))).collect();
        assert_eq!(conditional, [("kernel-tools", "kernel")]);
        let [minimal] = &universe.environments[..] else { panic!("{:?}", universe.environments) };
        assert_eq!(
            (&minimal.id[..], &minimal.groups[..], &minimal.options[..]),
            ("minimal", &["core".to_owned()][..], &["debugging".to_owned()][..])
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (comps, words) in [
            ("<comps>\n<group></group></comps>", "comps.xml cannot be used, line 2 (byte 15): a group has no id"),
            ("<comps><environment><id/></environment></comps>", "an environment has no id"),
            ("<comps><group><id>core</id>\n<packagelist>", "line 2 (byte 41), group core: it ends in the middle of an element"),
            ("<comps><group><id>core</id></packagelist>", "group core: "),
        ] {
            let error = read(comps).err().unwrap_or_default();
            assert!(error.contains(words), "{comps}: {error}");
        }
    }
}
