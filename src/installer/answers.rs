//! The answers to the questions of a recipe's installer. They are made once, before packages are chosen, stages planned, or anything checked.

use super::anaconda::{self, AnacondaError};
use super::deploy;
use crate::recipe::{Media, Recipe};

/// The answers of a recipe to its installer.
#[derive(Debug)]
pub enum Answers<'r> {
    /// To the deploy installer.
    Deploy {
        /// The suite.
        suite: &'r str,
        /// The packages that are asked for, beside the essential ones.
        packages: Vec<String>,
    },
    /// To Anaconda.
    Anaconda(Box<anaconda::Answers<'r>>),
}

impl<'r> Answers<'r> {
    /// The answers of `recipe`.
    ///
    /// # Errors
    /// Anaconda would refuse the kickstart, or the recipe asks for something that a kickstart cannot say.
    pub fn of(recipe: &'r Recipe) -> Result<Self, AnacondaError> {
        Ok(match &recipe.media {
            Media::Deploy { suite, .. } => Self::Deploy { suite, packages: deploy::packages(recipe) },
            Media::Anaconda { .. } => Self::Anaconda(Box::new(anaconda::Answers::of(recipe)?)),
        })
    }
}
