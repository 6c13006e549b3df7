//! Names of objects and fields, as the API has them.

/// The object that deals are.
pub(super) const OPPORTUNITY: &str = "Opportunity";

/// Whether a text is the way to a field: API names joined by dots.
pub(super) fn is_path(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && name.len() <= 80
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.split('.').count() <= 6 && text.split('.').all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_api_names_make_a_path() {
        for path in ["Amount", "ARR__c", "Account.Industry", "ns__Deal__r.Amount__c"] {
            assert!(is_path(path), "{path}");
        }
        for path in ["", "Amount, Id", "a b", "Account.", ".Name", "1st", "Name'", "a.b.c.d.e.f.g", "(SELECT Id)"] {
            assert!(!is_path(path), "{path}");
        }
    }
}
