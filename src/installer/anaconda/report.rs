//! The reports of a kickstart's scripts.

/// A line of the scripts' report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The step that is done now.
    Step(String),
    /// The failure and its reason. The failure is final, whatever comes later.
    Fail(String),
    /// All was done; holds the nonce, which must be that of this run.
    Ok(String),
}

impl Report {
    /// Read a line without its end; `None` when it is not a line of the scripts.
    pub fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        let rest = rest.to_owned();
        match word {
            "step" => Some(Self::Step(rest)),
            "fail" => Some(Self::Fail(rest)),
            "ok" => Some(Self::Ok(rest)),
            _ => None,
        }
    }
}
