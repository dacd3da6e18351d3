//! Certificate authorities whose certificates are not valid now, and systems without the program that adds them. Pure.

use jiff::Timestamp;

use super::report::{Area, Row};
use crate::closure::Forecast;
use crate::recipe::{Authority, Recipe};

/// The package whose program adds an authority to the system's bundle, of Debian and of EL7.
const KEEPER: &str = "ca-certificates";

/// Rows for the faults of the recipe's authorities at the time `now`, in seconds since 1970.
pub(super) fn rows(recipe: &Recipe, forecast: Option<&Forecast>, now: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for authority in &recipe.authorities {
        let (when, verb, remedy) = if authority.not_after < now {
            (authority.not_after, "expired", "nothing that it signed is trusted any more: name its successor")
        } else if authority.not_before > now {
            (authority.not_before, "begins to be valid", "until then nothing that it signed is trusted: name one that is valid")
        } else {
            continue;
        };
        let what = format!("the certificate of the authority `{}` ({}) {verb} on {}", authority.name, authority.subject, date(when));
        rows.push(Row::warning(Area::Settings, what, Some(remedy.to_owned())));
    }
    for authority in &recipe.authorities {
        let is_there = recipe.authorities.iter().any(|other| other.subject == authority.issuer);
        if !is_there {
            let Authority { name, subject, issuer, .. } = authority;
            let what = format!("the authority `{name}` ({subject}) is an intermediate: {issuer} signed it, which the recipe does not have");
            let remedy = "give its root, too, unless the distribution has that: OpenSSL trusts no chain without its root";
            rows.push(Row::warning(Area::Settings, what, Some(remedy.to_owned())));
        }
    }
    let lacks = |forecast: &Forecast| forecast.refused.is_empty() && forecast.version_of(KEEPER).is_none();
    if !recipe.authorities.is_empty() && forecast.is_some_and(lacks) {
        let what = format!("the recipe has certificate authorities, and {KEEPER}, which keeps the system's, will not be installed");
        rows.push(Row::wrong(Area::Packages, what, Some(format!("add \"{KEEPER}\" to `packages.install`"))));
    }
    rows
}

/// The day of a time, in UTC.
fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "a day that no calendar has".to_owned(), |at| at.strftime("%F").to_string())
}

#[cfg(test)]
mod tests {
    use super::super::tests::recipe;
    use super::*;
    use crate::closure::ForecastPackage;

    #[test]
    fn authorities_out_of_their_time_are_told() {
        let text = format!(
            "schema = 1\nname = \"x\"\nmedia = {{ installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }}\n\
             system = {{ root = \"locked\" }}\n[[certificate_authority]]\nname = \"lab\"\ncontent = '''\n{}'''\n",
            include_str!("../../tests/data/lab-ca.pem")
        );
        let recipe = recipe(text);
        let authority = &recipe.authorities[0];
        let said = |now| rows(&recipe, None, now).into_iter().map(|row| row.what).collect::<Vec<_>>();
        assert!(said(authority.not_before).is_empty() && said(authority.not_after).is_empty());
        let name = "the certificate of the authority `lab` (CN=Lab CA,O=Lab)";
        assert_eq!(said(authority.not_before - 1), [format!("{name} begins to be valid on {}", date(authority.not_before))]);
        assert_eq!(said(authority.not_after + 1), [format!("{name} expired on {}", date(authority.not_after))]);
        assert_eq!((date(0), date(u64::MAX)), ("1970-01-01".to_owned(), "a day that no calendar has".to_owned()));

        let mut lower = recipe.clone();
        lower.authorities[0].issuer = "CN=Root".to_owned();
        let found = rows(&lower, None, authority.not_before);
        assert_eq!(
            found[0].what,
            "the authority `lab` (CN=Lab CA,O=Lab) is an intermediate: CN=Root signed it, which the recipe does not have"
        );
        lower.authorities.push(Authority { subject: "CN=Root".to_owned(), issuer: "CN=Root".to_owned(), ..authority.clone() });
        assert!(rows(&lower, None, authority.not_before).is_empty());

        let line =
            |name: &str| ForecastPackage { name: name.into(), version: "1".into(), arch: "all".into(), ..ForecastPackage::default() };
        for (package, count) in [("ca-certificates", 0), ("openssl", 1)] {
            let forecast = Forecast { packages: vec![line(package)], ..Forecast::default() };
            assert_eq!(rows(&recipe, Some(&forecast), authority.not_before).len(), count, "{package}");
        }
    }
}
