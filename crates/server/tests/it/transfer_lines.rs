//! Files are read line by line, whatever is in them.

use std::io::Cursor;

use gatehouse_server::transfer::{Format, Lines, ReadError, RejectFile};

fn lines(text: &str, format: Format) -> Lines {
    Lines::open(Box::new(Cursor::new(text.to_owned().into_bytes())), format).unwrap()
}

#[test]
fn table_says_what_its_columns_are() {
    let open = |head: &str| Lines::open(Box::new(Cursor::new(head.to_owned().into_bytes())), Format::Csv).map(drop);
    assert!(open("email,username,rejected,id\r\n").is_ok());
    let unknown = open("email,username,roles\r\n").unwrap_err();
    assert!(matches!(&unknown, ReadError::Column(name) if name == "roles"), "{unknown}");
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
