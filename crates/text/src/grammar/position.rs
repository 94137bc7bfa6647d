//! Where in a JSON text a byte stands. It trusts the text: the parser let it through.

/// Deepest nesting that is produced.
pub(super) const MOST_DEPTH: usize = 64;
/// Most characters of a number: integers then fit 64 bits.
pub(super) const MOST_NUMBER: usize = 18;
/// Most digits of an exponent: the number is then a finite f64.
const MOST_EXPONENT: usize = 2;

/// What the next byte begins or continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A value is due.
    Value,
    /// Behind `[`: a value or the end.
    FirstItem,
    /// Behind `{`: a name or the end.
    FirstName,
    /// Behind a comma in an object.
    Name,
    /// Behind a name.
    Colon,
    /// Behind a value: a comma or the end of what holds it.
    After,
    /// Within a string, perhaps a name, perhaps behind a backslash.
    Text {
        /// Whether it is a name.
        name: bool,
        /// Whether a backslash stands before.
        escaped: bool,
    },
    /// Within a number, `true`, `false` or `null`.
    Scalar,
}

/// A kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// `{}`
    Object,
    /// `[]`
    Array,
}

/// The place and what is open around it.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) open: Vec<Container>,
    pub(super) place: Place,
    /// Bytes of the present scalar.
    scalar: usize,
    /// Of them, digits behind the `e`; `None` without one.
    exponent: Option<usize>,
    last: u8,
    /// What is written of the present or last name, its quotes included.
    pub(super) name: Vec<u8>,
}

impl Position {
    /// In front of a text.
    pub(super) fn start() -> Self {
        Self {
            open: Vec::new(),
            place: Place::Value,
            scalar: 0,
            exponent: None,
            last: 0,
            name: Vec::new(),
        }
    }

    /// Whether the text is complete.
    pub(super) fn done(&self) -> bool {
        self.open.is_empty() && self.place == Place::After
    }

    /// Goes over these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.step(byte));
    }

    /// Whether the limits are kept; a number that is still open must be able to end within them.
    pub(super) fn within_limits(&self) -> bool {
        let room = match self.last {
            b'0'..=b'9' => 0,
            _ => 2,
        };
        let number = self.place != Place::Scalar
            || self.scalar + room <= MOST_NUMBER && self.exponent.unwrap_or(0) <= MOST_EXPONENT;
        number && self.open.len() <= MOST_DEPTH
    }

    /// Whether a single token could break the limits.
    pub(super) fn near_limits(&self) -> bool {
        self.place == Place::Scalar && (self.scalar > 4 || self.exponent.is_some())
            || self.open.len() + 16 > MOST_DEPTH
    }

    fn step(&mut self, byte: u8) {
        self.last = byte;
        if matches!(self.place, Place::Text { name: true, .. }) {
            self.name.push(byte);
        }
        match (self.place, byte) {
            (Place::Text { name, escaped: true }, _) => {
                self.place = Place::Text { name, escaped: false };
            }
            (Place::Text { name, .. }, b'\\') => self.place = Place::Text { name, escaped: true },
            (Place::Text { name, .. }, b'"') => {
                self.place = if name { Place::Colon } else { Place::After };
            }
            (Place::Text { .. }, _) => {}
            (Place::Colon, _) => self.place = Place::Value,
            (Place::FirstName | Place::Name, b'"') => {
                self.place = Place::Text { name: true, escaped: false };
                self.name = vec![byte];
            }
            (_, b'}' | b']') => {
                self.open.pop();
                self.place = Place::After;
            }
            (_, b',') => {
                let object = self.open.last() == Some(&Container::Object);
                self.place = if object { Place::Name } else { Place::Value };
            }
            (_, b'"') => self.place = Place::Text { name: false, escaped: false },
            (_, b'{') => self.enter(Container::Object, Place::FirstName),
            (_, b'[') => self.enter(Container::Array, Place::FirstItem),
            _ => self.scalar(byte),
        }
    }

    fn enter(&mut self, container: Container, place: Place) {
        self.open.push(container);
        self.place = place;
    }

    fn scalar(&mut self, byte: u8) {
        if self.place != Place::Scalar {
            (self.place, self.scalar, self.exponent) = (Place::Scalar, 0, None);
        }
        self.scalar += 1;
        let number = self.exponent.is_some() || self.scalar > 1 && byte.eq_ignore_ascii_case(&b'e');
        if let Some(digits) = &mut self.exponent {
            *digits += usize::from(byte.is_ascii_digit());
        } else if number {
            self.exponent = Some(0);
        }
    }
}
