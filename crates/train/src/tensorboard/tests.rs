use super::*;

/// What an event says: step, file version, and scalars.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    step: u64,
    version: Option<String>,
    scalars: Vec<(String, f32)>,
}

/// A reader of the protobuf wire format, written from its description.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn varint(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        panic!("a varint of more than 64 bits");
    }

    /// The next field: its number, and its bytes or its number as bytes.
    fn field(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.0.is_empty() {
            return None;
        }
        let key = self.varint();
        let value = match key & 7 {
            0 => self.varint().to_le_bytes().to_vec(),
            1 => self.take(8).to_vec(),
            2 => {
                let len = self.varint() as usize;
                self.take(len).to_vec()
            }
            5 => self.take(4).to_vec(),
            other => panic!("wire type {other}"),
        };
        Some((key >> 3, value))
    }
}

fn decode_value(bytes: &[u8]) -> (String, f32) {
    let (mut wire, mut tag, mut scalar) = (Wire(bytes), String::new(), f32::NAN);
    while let Some((number, value)) = wire.field() {
        match number {
            1 => tag = String::from_utf8(value).unwrap(),
            2 => scalar = f32::from_le_bytes(value.try_into().unwrap()),
            other => panic!("field {other} of a value"),
        }
    }
    (tag, scalar)
}

fn decode_event(bytes: &[u8]) -> Decoded {
    let (mut wire, mut event) = (Wire(bytes), Decoded::default());
    while let Some((number, value)) = wire.field() {
        match number {
            1 => assert!(f64::from_le_bytes(value.try_into().unwrap()) > 1e9, "a wall time"),
            2 => event.step = u64::from_le_bytes(value.try_into().unwrap()),
            3 => event.version = Some(String::from_utf8(value).unwrap()),
            5 => {
                let mut summary = Wire(&value);
                while let Some((number, value)) = summary.field() {
                    assert_eq!(number, 1);
                    event.scalars.push(decode_value(&value));
                }
            }
            other => panic!("field {other} of an event"),
        }
    }
    event
}

/// The records of a file; every checksum must hold.
fn decode(bytes: &[u8]) -> Vec<Decoded> {
    let (mut wire, mut events) = (Wire(bytes), Vec::new());
    while !wire.0.is_empty() {
        let length = wire.take(8);
        assert_eq!(wire.take(4), masked(length).to_le_bytes());
        let data = wire.take(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(wire.take(4), masked(data).to_le_bytes());
        events.push(decode_event(data));
    }
    events
}

#[test]
fn the_checksum_is_castagnoli() {
    // RFC 3720, B.4, and the check value of CRC-32C.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    // (crc >> 15 | crc << 17) + the mask, by hand for the first one.
    assert_eq!(masked(b"123456789"), 0x2507_c60d_u32.wrapping_add(0xa282_ead8));
}

#[test]
fn scalars_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut events = EventFile::start(directory.path(), 0).unwrap();
    events.scalars(1, &[("train/loss", 2.5), ("train/grad_norm", 0.125)]).unwrap();
    events.scalars(300, &[("held_out/loss", -1.5)]).unwrap();
    let decoded = decode(&std::fs::read(events.path()).unwrap());
    let scalar = |tag: &str, value| (tag.to_owned(), value);
    let expected = [
        Decoded { version: Some("brain.Event:2".into()), ..Decoded::default() },
        Decoded {
            step: 1,
            scalars: vec![scalar("train/loss", 2.5), scalar("train/grad_norm", 0.125)],
            ..Decoded::default()
        },
        Decoded { step: 300, scalars: vec![scalar("held_out/loss", -1.5)], ..Decoded::default() },
    ];
    assert_eq!(decoded, expected);
}
