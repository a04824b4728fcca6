//! Files are read line by line, whatever is in them.

use std::io::Cursor;

use gatehouse_domain::{
    issue::Parse,
    text::{DisplayName, Email},
    user::ImportedUser,
};
use gatehouse_server::transfer::{Format, Lines, Names, ReadError, Reading, RejectFile};

fn lines(text: &str, format: Format) -> Lines {
    Lines::open(Box::new(Cursor::new(text.to_owned().into_bytes())), format).unwrap()
}

#[test]
fn table_says_what_its_columns_are() {
    let open = |head: &str| Lines::open(Box::new(Cursor::new(head.to_owned().into_bytes())), Format::Csv).map(drop);
    assert!(open("email,username,rejected,id\r\n").is_ok());
    let unknown = open("email,username,roles\r\n").unwrap_err();
    assert!(matches!(&unknown, ReadError::Columns(names) if names == &["roles"]), "{unknown}");
}

#[test]
fn row_has_the_number_of_its_line_however_lines_end() {
    for end in ["\n", "\r\n"] {
        let text = ["username,email", "ada,a", "eve,\"b", "c\"", "bob,d"].join(end);
        let mut lines = lines(&text, Format::Csv);
        let numbers: Vec<_> = std::iter::from_fn(|| lines.next_line().unwrap()).map(|line| line.number).collect();
        assert_eq!(numbers, [2, 3, 5], "{end:?}");
    }
}

#[test]
fn row_that_never_ends_is_not_read_into_memory() {
    let text = format!("username,email\r\nada,\"{}", "x".repeat(4 << 20));
    let mut lines = lines(&text, Format::Csv);
    let error = lines.next_line().unwrap_err();
    assert!(matches!(error, ReadError::Endless(2)), "{error:?}");
    assert!(lines.bytes() < 2 << 20);
}

#[test]
fn line_of_any_length_is_read_over() {
    let text = format!("{}\n{{}}", "x".repeat(4 << 20));
    let mut lines = lines(&text, Format::Ndjson);
    let numbers: Vec<_> = std::iter::from_fn(|| lines.next_line().unwrap()).map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn rejected_rows_are_a_table_that_can_be_mended_and_read_again_whatever_columns_they_had() {
    let path = std::env::temp_dir().join(format!("gatehouse-rejected-{}.csv", std::process::id()));
    let text = "username,rejected,email,phone\nada\neve,before,no,1,more,\"and, more\"\n,before,no,\n";
    let mut source = lines(text, Format::Csv);
    let mut file = RejectFile::create(&path, &source).unwrap();
    while let Some(line) = source.next_line().unwrap() {
        file.write(&line, &source.read(&line).user.unwrap_err()).unwrap();
    }
    file.flush().unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let rows: Vec<_> = written.lines().collect();
    assert_eq!(rows[0], "username,email,phone,rejected");
    assert!(rows[1].starts_with("ada,,,") && rows[1].contains("line 2: column_count"), "{written}");
    assert!(
        rows[2].starts_with("eve,no,1,") && rows[2].contains("behind the last column: more, and, more"),
        "{written}"
    );
    let mut again = lines(&written, Format::Csv);
    let mut faults = Vec::new();
    while let Some(line) = again.next_line().unwrap() {
        faults.extend(
            again.read(&line).user.unwrap_err().into_iter().map(|fault| (line.number, fault.field, fault.code)),
        );
    }
    assert!(faults.iter().all(|(.., code)| code != "column_count"), "{faults:?}");
    assert!(faults.iter().any(|(line, field, _)| (*line, field.as_str()) == (2, "email")), "{faults:?}");
}

fn table(reading: Reading) -> impl Fn(&[u8]) -> Vec<Result<ImportedUser, String>> {
    move |bytes| {
        let mut lines = Lines::open(Box::new(Cursor::new(bytes.to_vec())), reading.clone()).unwrap();
        let mut users = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            users.push(lines.read(&line).user.map_err(|faults| faults[0].code.clone()));
        }
        users
    }
}

fn names(users: &[Result<ImportedUser, String>]) -> Vec<Option<&str>> {
    users.iter().map(|user| user.as_ref().ok()?.display_name.as_ref().map(DisplayName::as_str)).collect()
}

#[test]
fn cells_are_separated_by_what_the_head_has_most_of_or_says() {
    let read = table(Format::Csv.into());
    for text in [
        "email;display_name\r\nann@example.com;\"Müller; Ann\"\r\n",
        "sep=;\r\nemail;display_name\r\nann@example.com;\"Müller; Ann\"\r\n",
        "email\tdisplay_name\nann@example.com\tMüller; Ann\n",
        "\u{feff}\"email\",\"display_name\"\nann@example.com,Müller; Ann",
    ] {
        assert_eq!(names(&read(text.as_bytes())), [Some("Müller; Ann")], "{text}");
    }
}

#[test]
fn separator_at_the_end_of_each_line_is_no_cell() {
    let read = table(Format::Csv.into());
    for text in ["email;display_name;\r\nann@example.com;Ann;\r\n", "email,display_name\nann@example.com,Ann,\n"] {
        assert_eq!(names(&read(text.as_bytes())), [Some("Ann")], "{text}");
    }
    let more = read(b"email,display_name\nann@example.com,Ann,,x\n");
    assert_eq!(more[0].as_ref().unwrap_err(), "column_count");
}

#[test]
fn rejected_rows_are_separated_like_those_of_the_file() {
    let path = std::env::temp_dir().join(format!("gatehouse-separated-{}.csv", std::process::id()));
    let mut source = lines("email;display_name\nno;\"Müller; Ann\"\n", Format::Csv);
    let mut file = RejectFile::create(&path, &source).unwrap();
    let line = source.next_line().unwrap().unwrap();
    file.write(&line, &source.read(&line).user.unwrap_err()).unwrap();
    file.flush().unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(written.starts_with("email;display_name;rejected\r\nno;\"Müller; Ann\";"), "{written}");
}

#[test]
fn characters_are_recognised_or_said() {
    let text = "email,display_name\r\nann@example.com,Müller\r\n";
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = utf16.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    let marked = [&[0xff, 0xfe], &*little].concat();
    let read = table(Format::Csv.into());
    for bytes in [little, big, marked] {
        assert_eq!(names(&read(&bytes)), [Some("Müller")]);
    }
    let windows = text.replace('ü', "\u{1}").bytes().map(|b| if b == 1 { 0xfc } else { b }).collect::<Vec<_>>();
    assert_eq!(read(&windows)[0].as_ref().unwrap_err(), "string_unicode");
    let encoding = encoding_rs::Encoding::for_label(b"windows-1252");
    assert_eq!(names(&table(Reading { encoding, ..Format::Csv.into() })(&windows)), [Some("Müller")]);
    let broken = [
        &[0xff, 0xfe],
        &*"email\n".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        &[0x00, 0xd8, 0x41, 0x00, 0x0a, 0x00],
    ]
    .concat();
    assert_eq!(read(&broken)[0].as_ref().unwrap_err(), "string_unicode");
}

#[test]
fn rows_without_a_cell_are_none() {
    let read = table(Format::Csv.into());
    assert_eq!(read(b"username,email\r\n,,\r\nann,ann@example.com\r\n,\r\n , \r\n").len(), 1);
}

#[test]
fn all_unknown_columns_are_named_and_mapped_or_passed_over() {
    let head = "Login,E-Mail,department,Notes\r\nann,ann@example.com,sales,x\r\n";
    let open = |names: &Names| {
        let reading = Reading { names: names.clone(), ..Format::Csv.into() };
        Lines::open(Box::new(Cursor::new(head.as_bytes().to_vec())), reading.clone())
            .map(|_| table(reading)(head.as_bytes()))
    };
    let mut given = Names::default();
    assert_eq!(open(&given).unwrap_err().to_string().matches('"').count(), 8);
    for rule in ["Login=username", "E-Mail=email", "department=attributes.department"] {
        given.map(rule).unwrap();
    }
    given.ignore("Notes");
    let users = open(&given).unwrap();
    let ann = users[0].as_ref().unwrap();
    assert_eq!(ann.attributes.as_ref().unwrap()["department"], "sales");
    assert!(ann.email == Email::parse("ann@example.com").unwrap() && ann.username.is_some());
    assert!(given.map("x=nothing").is_err() && given.map("x").is_err());
}

#[test]
fn user_whose_hash_cannot_be_checked_comes_without_it_when_that_is_said() {
    let text = "email,password_hash,status\r\nann@example.com,$P$B12345678nEC7G/xF5W.XyqTy9SYWS0,active\r\n";
    assert_eq!(table(Format::Csv.into())(text.as_bytes())[0].as_ref().unwrap_err(), "password_hash_format");
    let users = table(Reading { without_password: true, ..Format::Csv.into() })(text.as_bytes());
    let ann = users[0].as_ref().unwrap();
    assert!(ann.hash.is_none());
}
