//! Whether a new password is strong enough: zxcvbn's score at least 3 of 4, with the words an attacker would try first
//! for this user.

use gatehouse_domain::{issue::Fault, password::Password};

/// zxcvbn takes time that grows faster than its input. What an attacker would guess shows at the beginning; what stands
/// behind counts for the length alone.
const STRENGTH_CHARS: usize = 64;

/// Signs that zxcvbn takes for the same letter.
const LOOK_ALIKE: [&str; 6] = ["4@", "({[<", "69", "1!|", "5$", "7+"];
/// It tries every choice of one sign for each letter; among so many at most.
const MOST_CHOICES: usize = 8;

/// A text in which there are few choices: where it has many, one sign stands for all that look alike. What was made of
/// letters by such signs is found as before.
fn with_few_choices(text: String) -> String {
    let of = |signs: &str| Ord::max(signs.chars().filter(|sign| text.contains(*sign)).count(), 1);
    if LOOK_ALIKE.iter().map(|signs| of(signs)).product::<usize>() <= MOST_CHOICES {
        return text;
    }
    let first = |signs: &&str| signs.chars().next();
    let same = |char: char| LOOK_ALIKE.iter().find(|signs| signs.contains(char)).and_then(first).unwrap_or(char);
    text.chars().map(same).collect()
}

pub(super) fn check_strength(password: &Password, context: &[String]) -> Result<(), Fault> {
    let head: String = password.expose().chars().take(STRENGTH_CHARS).collect();
    let words: Vec<&str> = context
        .iter()
        .flat_map(|word| [word.as_str()].into_iter().chain(word.split(['@', '.', '-', '_', ' '])))
        .filter(|word| word.len() > 2)
        .collect();
    if is_mostly(&head, &words) {
        let why = "is too easy to guess: it is made of names that anyone knows";
        return Err(Fault::new("password_too_weak", why));
    }
    let estimate = zxcvbn::zxcvbn(&with_few_choices(head), &words);
    if estimate.score() >= zxcvbn::Score::Three {
        return Ok(());
    }
    let why =
        estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning).map(|w| format!(": {w}")).unwrap_or_default();
    Err(Fault::new("password_too_weak", format!("is too easy to guess{why}")))
}

/// How many letters and digits a password must have besides the words that an attacker would try first.
const OWN_CHARS: usize = 8;

/// Whether little is left of a password without these words: zxcvbn knows that each is a poor guess, but not that two of
/// them in a row are.
fn is_mostly(password: &str, words: &[&str]) -> bool {
    let whole = password.to_lowercase();
    let mut longest_first = words.to_vec();
    longest_first.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = longest_first.iter().fold(whole.clone(), |rest, word| rest.replace(word, ""));
    rest.len() < whole.len() && rest.chars().filter(|c| c.is_alphanumeric()).count() < OWN_CHARS
}

#[cfg(test)]
mod tests {
    use super::{super::cost::processor_time, *};
    use gatehouse_domain::issue::Parse;

    fn judge(text: &str) -> Result<(), Fault> {
        check_strength(&Password::parse(text).unwrap(), &[])
    }

    #[test]
    fn what_stands_behind_the_first_64_characters_counts_for_the_length_alone() {
        let good = "mountain otter juggles 42 lamps";
        let weak = "a".repeat(64);
        assert!(judge(&format!("{weak}{good}")).is_err());
        assert_eq!(judge(&format!("{}{}", good.repeat(3), "4@8({[<369!|170$5+%2".repeat(20))), Ok(()));
    }

    #[test]
    fn words_are_found_behind_signs_that_look_like_letters_however_many() {
        for weak in ["p@ssw0rd", "p4$$w0rdp@55w0rd", "[{(<4@69!|1$57+p@55w0rdp4$$w0rd"] {
            let guesses = |text: &str| zxcvbn::zxcvbn(&with_few_choices(text.to_owned()), &[]).guesses();
            assert!(guesses(weak) <= zxcvbn::zxcvbn(weak, &[]).guesses(), "{weak}");
        }
    }

    #[test]
    fn dearest_passwords_are_judged_within_bounds() {
        let signs = "4@8({[<3691!|70$5+%2";
        let letters: String = signs.chars().flat_map(|sign| [sign, 'e', 'n']).collect();
        for text in [
            "4@({69!15$7|+".chars().cycle().take(64).collect(),
            "4@({69".repeat(20),
            "1|7+({".repeat(20),
            "({[<69".repeat(20),
            signs.repeat(3),
            signs.repeat(20),
            letters,
            "\u{1e9e}\u{130}4@8({[<3691!|70$5+%2".repeat(8),
            "🦀🐙".repeat(60),
            "\u{fdfa}".repeat(300),
            "1/1/1".repeat(60),
            "abcabd".repeat(40),
        ] {
            let begun = processor_time();
            drop(judge(&text));
            let taken = processor_time() - begun;
            println!("{taken:?} for {text}");
            assert!(taken.as_millis() < 200, "{taken:?} for {text}");
        }
    }
}
