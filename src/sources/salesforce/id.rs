//! Record ids: of 15 characters, in which capitals matter, or of 18, in which they do not.

/// The 18 characters of an id of 15; any other text as it is. Three more tell which of the others are capitals.
pub(super) fn long(id: &str) -> String {
    if id.len() != 15 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let check = id.as_bytes().chunks(5).map(|group| {
        let capitals = group.iter().rev().fold(0, |bits, byte| bits << 1 | usize::from(byte.is_ascii_uppercase()));
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[capitals])
    });
    id.chars().chain(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_15_characters_gets_the_three_that_tell_its_capitals() {
        for (short, whole) in [
            ("0065g00000XyZ12", "0065g00000XyZ12AAF"),
            ("001D000000IqhSL", "001D000000IqhSLIAZ"),
            ("00D5g000008abcd", "00D5g000008abcdEAA"),
        ] {
            assert_eq!(long(short), whole);
        }
        for other in ["0065g00000XyZ12AAF", "", "007", "0065g00000XyZ1-"] {
            assert_eq!(long(other), other);
        }
    }
}
