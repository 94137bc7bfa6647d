//! Stop strings in text that comes in pieces.
//!
//! The text ends before the stop string that is completed first; of several completed by the same
//! character, before the longest. So where it ends does not depend on how the text was cut into
//! pieces. What might be the beginning of a stop string is held back until that is decided.

#[cfg(test)]
mod tests;

/// Lets text through up to the first stop string.
#[derive(Clone, Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    /// Text that may be the beginning of a stop string.
    held: String,
    stopped: bool,
}

impl StopFilter {
    /// A filter for these stop strings, none of them empty.
    ///
    /// # Panics
    /// When one is empty.
    pub fn new(stops: Vec<String>) -> Self {
        assert!(stops.iter().all(|stop| !stop.is_empty()), "an empty stop string");
        Self { stops, held: String::new(), stopped: false }
    }

    /// Whether a stop string came up; everything from its first character on is dropped.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the next piece; gives the text that is now certain to come before any stop string.
    pub fn push(&mut self, piece: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(piece);
        if let Some(start) = self.first() {
            self.stopped = true;
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let rest = self.held.split_off(self.certain());
        std::mem::replace(&mut self.held, rest)
    }

    /// Ends the text: what was held back is no stop string after all.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string that is completed first begins.
    fn first(&self) -> Option<usize> {
        let found = self.stops.iter().filter_map(|stop| {
            let start = self.held.find(stop.as_str())?;
            Some((start + stop.len(), start))
        });
        found.min().map(|(_, start)| start)
    }

    /// Bytes in front of the earliest place from which the held text may grow into a stop string.
    fn certain(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = (self.held.len() + 1).saturating_sub(longest);
        let may_begin = |&start: &usize| {
            let tail = &self.held.as_bytes()[start..];
            self.stops.iter().any(|stop| stop.as_bytes().starts_with(tail))
        };
        // A stop string begins with the first byte of a character, so the cut is between two.
        (from..self.held.len()).find(may_begin).unwrap_or(self.held.len())
    }
}
