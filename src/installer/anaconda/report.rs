//! What the scripts of a kickstart report.

/// A line of the scripts' report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// What is done now.
    Step(String),
    /// What failed, and why. Nothing that comes later makes it good.
    Fail(String),
    /// All was done; holds the nonce, which must be that of this run.
    Ok(String),
}

impl Report {
    /// Read a line without its end; `None` for what the scripts do not say.
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
