//! What Outlook says of a message in the file that it attaches for its own kind (`winmail.dat`,
//! [MS-OXTNEF]): of all of it, the class of the message.
//!
//! Refuses to unpack anything: the attributes are walked by their lengths, within the part.

use crate::limits::MAX_TNEF_ATTRIBUTES;
use crate::message::ParsedMessage;
use crate::part::Part;
use crate::text::decode_part;

/// [MS-OXTNEF] 2.1.1: what a stream begins with, followed by a key of two bytes.
const SIGNATURE: [u8; 4] = 0x223E_9F78_u32.to_le_bytes();
const HEADER: usize = 6;
/// [MS-OXTNEF] 2.1.3.3.5: `attMessageClass`.
const MESSAGE_CLASS: [u8; 4] = 0x0007_8008_u32.to_le_bytes();
/// Level, id and length before an attribute's data; a checksum of two bytes behind it.
const BEFORE: usize = 1 + 4 + 4;
const BEHIND: usize = 2;

/// The class of a message that carries a TNEF stream, such as `IPM.Note`.
pub fn message_class(message: &ParsedMessage, bytes: &[u8]) -> Option<String> {
    let stream = decode_part(find(&message.body)?, bytes)?;
    class_of(&stream)
}

fn find(part: &Part) -> Option<&Part> {
    let is_stream = |subtype: &str| part.is_type("application", subtype);
    if is_stream("ms-tnef") || is_stream("vnd.ms-tnef") {
        return Some(part);
    }
    part.children().iter().find_map(find)
}

fn class_of(stream: &[u8]) -> Option<String> {
    let mut rest = stream
        .strip_prefix(&SIGNATURE)?
        .get(HEADER - SIGNATURE.len()..)?;
    for _ in 0..MAX_TNEF_ATTRIBUTES {
        let (before, data) = rest.split_at_checked(BEFORE)?;
        let length = u32::from_le_bytes(*before.last_chunk()?) as usize;
        let (value, behind) = data.split_at_checked(length)?;
        if before.get(1..5) == Some(&MESSAGE_CLASS[..]) {
            let text = value.split(|byte| *byte == 0).next()?;
            return String::from_utf8(text.to_vec()).ok();
        }
        rest = behind.get(BEHIND..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(id: u32, value: &[u8]) -> Vec<u8> {
        let sum = value.iter().map(|byte| u16::from(*byte)).sum::<u16>();
        [
            &[1],
            &id.to_le_bytes()[..],
            &(value.len() as u32).to_le_bytes(),
            value,
            &sum.to_le_bytes(),
        ]
        .concat()
    }

    fn stream() -> Vec<u8> {
        [
            &SIGNATURE[..],
            &[1, 0],
            &attribute(0x0008_9006, &0x0001_0000_u32.to_le_bytes()),
            &attribute(0x0007_8008, b"IPM.Schedule.Request\0"),
        ]
        .concat()
    }

    #[test]
    fn the_class_is_read_wherever_the_stream_ends() {
        let whole = stream();
        assert_eq!(class_of(&whole).as_deref(), Some("IPM.Schedule.Request"));
        for end in 0..whole.len() - BEHIND {
            assert_eq!(class_of(&whole[..end]), None, "{end}");
        }
        let long = [
            &SIGNATURE[..],
            &[1, 0],
            &[1, 0, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        assert_eq!(class_of(&long), None);
    }

    #[test]
    fn a_message_is_of_the_class_that_its_part_says() {
        use base64::Engine;
        let body = base64::engine::general_purpose::STANDARD.encode(stream());
        let mail = format!(
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
             text\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n--b--\r\n"
        );
        let class = |mail: &str| message_class(&crate::parse(mail.as_bytes()), mail.as_bytes());
        assert_eq!(class(&mail).as_deref(), Some("IPM.Schedule.Request"));
        assert_eq!(class(&mail.replace("ms-tnef", "octet-stream")), None);
    }
}
