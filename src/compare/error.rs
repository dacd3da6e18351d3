//! Why two images cannot be compared.

use crate::base::failure::{Class, Failure};
use crate::image::ImageError;
use crate::inventory::InventoryError;

/// Why two images cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum CompareError {
    /// One cannot be read.
    Image(#[from] ImageError),
    /// The packages of one image are not known.
    Inventory(#[from] InventoryError),
}

impl Failure for CompareError {
    fn class(&self) -> Class {
        match self {
            Self::Image(error) => error.class(),
            Self::Inventory(error) => error.class(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.remedy(),
            Self::Inventory(error) => error.remedy(),
        }
    }
}
