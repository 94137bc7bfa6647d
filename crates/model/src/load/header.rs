//! What the reader of safetensors lets pass in a header: a name that is there twice, of which the last
//! one holds there and the first one elsewhere.

use crate::{Error, Result};
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

/// Refuses such a header.
pub(super) fn refuse_twice(path: &Path, header: &[u8]) -> Result<()> {
    let mut json = serde_json::Deserializer::from_slice(header);
    match json.deserialize_map(Names) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => {
            let message = "is there twice\nhint: copy or download it again";
            Err(Error::tensor(path, &name, message))
        }
        Err(error) => Err(Error::weights(path, format!("its header is no JSON: {error}"))),
    }
}

/// Finds the first name that was there before.
struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Option<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let (mut names, mut twice) = (BTreeSet::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if !names.contains(&name) {
                names.insert(name);
            } else if twice.is_none() {
                twice = Some(name);
            }
        }
        Ok(twice)
    }
}
