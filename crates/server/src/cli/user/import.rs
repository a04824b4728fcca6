//! `user import`: users from another system.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser};
use encoding_rs::Encoding;
use gatehouse_domain::{
    authz::{Area, Grant, SystemReason, TenantRef, WriteUsers, authorize},
    import::{Counts, Import, OnConflict},
    user::ORIGINAL_USERNAME,
    word::Word,
};
use gatehouse_persistence::ServeLock;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    app::{
        self, App,
        effects::Mode,
        request::client::RequestMeta,
        transfer::imports::{BATCH, ImportLine, Importing, LineFault, Rejected},
    },
    cli::{Exit, block_on, config, explain, open_or_make, operator::Operator, say, start, tenant, user},
    config::Database,
    transfer::{Line, Lines, Names, ReadError, Reading, RejectFile},
};

/// How many rejected lines are shown where no file keeps them.
const SHOWN: u64 = 20;
/// After how many lines an import without a terminal says how far it is.
const EVERY: u64 = 10_000;

pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name.replace('_', "-")).action(ArgAction::SetTrue).help(help)
    };
    user::of_a_file(Command::new("import").about("Take users over from a file: NDJSON or CSV"), "what its name ends with, or else NDJSON")
        .arg(user::required("file", "The file, or - for standard input"))
        .arg(
            Arg::new("on_conflict")
                .long("on-conflict")
                .value_parser(PossibleValuesParser::new(OnConflict::ALL.iter().map(|(_, word)| *word)))
                .default_value(OnConflict::Fail.as_str())
                .help("What to do with a line whose user name or address is taken: reject it, pass it over, or change that user"),
        )
        .arg(
            Arg::new("reject_file")
                .long("reject-file")
                .value_name("PATH")
                .help("Where lines go that were rejected, with the reasons; mended, that file can be imported"),
        )
        .arg(
            several("map", "THEIRS=OURS")
                .help("Which column or field is which of ours: username, email, … or attributes.NAME; may be repeated"),
        )
        .arg(several("ignore_column", "NAME").help("A column or field to pass over; may be repeated"))
        .arg(
            Arg::new("encoding")
                .long("encoding")
                .value_name("NAME")
                .help("The characters of a file that does not say so, such as windows-1252; UTF-8 and UTF-16 are recognised"),
        )
        .arg(flag("without_password", "Bring users whose hash cannot be checked without it: INVITED instead of rejected"))
        .arg(flag("invite", "Have the server mail an invitation to whoever comes without a password, ten a second"))
        .arg(flag("dry_run", "Check everything and change nothing"))
        .arg(flag("restart", "Begin anew instead of going on with the import that was stopped"))
        .after_long_help(
            "A line of the file is a user: username, email, email_verified, display_name, phone, status, attributes, password_hash, \
             created_at. Only email is required; without username it is the user name, too.\n\n500 lines at a time are in or not. An import that was stopped goes \
             on with the same command and the same file.",
        )
}

/// An option that may be given several times.
fn several(name: &'static str, value: &'static str) -> Arg {
    Arg::new(name).long(name.replace('_', "-")).value_name(value).action(ArgAction::Append)
}

/// How the file is read.
fn reading(matches: &ArgMatches, file: &str) -> Result<Reading, Exit> {
    let all = |name| matches.get_many::<String>(name).into_iter().flatten();
    let mut names = Names::default();
    for rule in all("map") {
        names.map(rule).map_err(Exit::Usage)?;
    }
    all("ignore_column").for_each(|name| names.ignore(name));
    let encoding = user::text(matches, "encoding").map(|label| {
        let known = Encoding::for_label(label.as_bytes());
        known.ok_or_else(|| Exit::Usage(format!("{label:?} is no encoding that is known; one is windows-1252")))
    });
    Ok(Reading {
        format: user::format(matches, Some(file))?,
        names,
        encoding: encoding.transpose()?,
        without_password: matches.get_flag("without_password"),
    })
}

struct Options {
    file: String,
    reading: Reading,
    rejects: Option<PathBuf>,
    on_conflict: OnConflict,
    mode: Mode,
    restart: bool,
    invite: bool,
}

impl Options {
    fn read(matches: &ArgMatches) -> Result<Self, Exit> {
        let text = |name| user::text(matches, name).unwrap_or_default();
        let file = text("file");
        let rejects = user::text(matches, "reject_file").map(PathBuf::from);
        let same = |path: &PathBuf| {
            path.canonicalize().is_ok_and(|path| Path::new(&file).canonicalize().is_ok_and(|file| file == path))
        };
        if rejects.as_ref().is_some_and(same) {
            return Err(Exit::Usage("the file of rejected lines must not be the file that is read".into()));
        }
        Ok(Self {
            reading: reading(matches, &file)?,
            rejects,
            on_conflict: OnConflict::from_word(&text("on_conflict"))
                .map_err(|fault| Exit::Usage(fault.msg.into_owned()))?,
            mode: if matches.get_flag("dry_run") { Mode::DryRun } else { Mode::Real },
            restart: matches.get_flag("restart"),
            invite: matches.get_flag("invite"),
            file,
        })
    }
}

impl From<ReadError> for Exit {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Columns(_) => Self::Usage(format!(
                "{}; --map theirs=ours says what one is, --ignore-column passes one over",
                explain(&error)
            )),
            ReadError::Endless(_) | ReadError::Empty => Self::Usage(explain(&error)),
            ReadError::File(_) => Self::Failed(explain(&error)),
        }
    }
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Exit> {
    let config = config(matches)?;
    let slug = user::text(matches, "tenant").unwrap_or_default();
    let options = Options::read(matches)?;
    let (input, size): (Box<dyn Read>, _) = if options.file == "-" {
        (Box::new(std::io::stdin()), None)
    } else {
        let file = File::open(&options.file);
        let file = file.map_err(|error| Exit::Usage(format!("cannot read {}: {}", options.file, explain(&error))))?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|of| of.len());
        (Box::new(file), size)
    };
    let lines = Lines::open(input, options.reading.clone())?;
    block_on(async {
        start::is_installed(&config).await?;
        let lock = match &config.database {
            Database::Sqlite(path) => Some(ServeLock::take(path).map_err(|error| match Exit::from(error) {
                Exit::InUse(text) => {
                    Exit::InUse(format!("{text}; stop it first: beside many writes it could not keep its pace"))
                }
                other => other,
            })?),
            Database::Postgres(_) => None,
        };
        let app = open_or_make(&config).await?;
        let tenant = tenant(&app, &slug).await?.reference();
        let counts = import(&app, tenant, lines, &options, size).await?;
        app.db().close().await;
        drop(lock);
        report(counts, &options)
    })
}

/// What became of the lines, as the last line and as the exit status.
fn report(counts: Counts, options: &Options) -> Result<(), Exit> {
    let Counts { created, updated, skipped, rejected } = counts;
    let tried = if options.mode == Mode::DryRun { " (dry run: nothing was changed)" } else { "" };
    say(&format!("{created} created, {updated} updated, {skipped} skipped, {rejected} rejected{tried}\n"));
    match (&options.rejects, rejected) {
        (_, 0) => Ok(()),
        (Some(path), _) => Err(Exit::Rejected(format!("{rejected} lines were rejected: see {}", path.display()))),
        (None, _) => Err(Exit::Rejected(format!("{rejected} lines were rejected: --reject-file keeps them"))),
    }
}

async fn import(
    app: &App,
    tenant: TenantRef,
    lines: Lines,
    options: &Options,
    size: Option<u64>,
) -> Result<Counts, Exit> {
    let importing =
        app.imports().begin(tenant, options.on_conflict, options.mode, options.restart, SystemReason::Cli).await;
    let importing = importing.map_err(|error| match error {
        app::Error::Conflict(text) => Exit::Usage(text.into_owned()),
        other => other.into(),
    })?;
    let rejects = match &options.rejects {
        Some(path) => Some(RejectFile::create(path, &lines).map_err(|error| unwritable(path, &error))?),
        None => None,
    };
    let mut run =
        Run { app, importing, lines, rejects, options, bar: bar(size), shown: 0, renamed: 0, hints: BTreeSet::new() };
    run.catch_up().await?;
    while run.batch().await? {}
    run.bar.finish_and_clear();
    run.hints.iter().for_each(|hint| eprintln!("{hint}"));
    if run.renamed > 0 {
        eprintln!(
            "{} lines have names that cannot be user names here: whoever is new signs in with the address, and the name is \
             in the attribute {ORIGINAL_USERNAME}",
            run.renamed
        );
    }
    let import = app.imports().finish(run.importing).await?;
    if options.invite && options.mode == Mode::Real {
        invite(app, &import).await?;
    }
    Ok(import.counts)
}

/// Asks for invitations to those whom an import has brought.
async fn invite(app: &App, import: &Import) -> Result<(), Exit> {
    let grant: Grant<WriteUsers> =
        authorize(Operator::at_command_line().actor(), &Area::Tenant(import.tenant)).map_err(app::Error::from)?;
    let meta = RequestMeta::of_command(app.env());
    app.invitations().invite_all(&grant, import.tenant.id, Some(import), &meta).await?;
    eprintln!("whoever came without a password is mailed an invitation by the server, ten a second");
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Exit {
    Exit::Failed(format!("cannot write {}: {}", path.display(), explain(error)))
}

/// Hidden where there is no terminal.
fn bar(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:30} {percent:>3} %  {msg}  {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

struct Run<'a> {
    app: &'a App,
    importing: Importing,
    lines: Lines,
    rejects: Option<RejectFile>,
    options: &'a Options,
    bar: ProgressBar,
    /// Rejected lines that were shown.
    shown: u64,
    /// Users whose name cannot be a user name here.
    renamed: usize,
    /// What may help with what was rejected.
    hints: BTreeSet<&'static str>,
}

/// What may help with a line that was rejected.
fn hint(fault: &LineFault) -> Option<&'static str> {
    match &*fault.code {
        code if code.starts_with("password_hash") => {
            Some("--without-password brings users whose hash cannot be checked, to be invited")
        }
        "extra_forbidden" => Some("--map theirs=ours says what a field is, --ignore-column passes one over"),
        _ => None,
    }
}

impl Run<'_> {
    /// Reads over what an import that was stopped has taken in, and says again what it rejected.
    async fn catch_up(&mut self) -> Result<(), Exit> {
        let (done, digest) = (self.importing.import().counts.lines(), self.importing.import().digest.clone());
        let id = self.importing.import().id;
        if done == 0 {
            return Ok(());
        }
        self.bar.suspend(|| eprintln!("going on with {id} behind {done} lines"));
        let mut rejected = std::collections::VecDeque::new();
        let (mut last, mut more) = (0, true);
        for _ in 0..done {
            let Some(line) = self.lines.next_line()? else { break };
            if rejected.is_empty() && more {
                rejected.extend(self.app.imports().rejected_lines(&self.importing, last).await?);
                more = !rejected.is_empty();
                last = rejected.back().map_or(last, |rejected: &Rejected| rejected.line);
            }
            if rejected.front().is_some_and(|rejected| rejected.line == line.number)
                && let Some(again) = rejected.pop_front()
            {
                self.keep(&line, &again)?;
            }
        }
        if self.lines.digest() != digest {
            return Err(Exit::Usage(format!(
                "{id} was stopped after {done} lines of another file: go on with that, or begin anew with --restart"
            )));
        }
        Ok(())
    }

    /// Takes the next lines in; false at the end of the file.
    async fn batch(&mut self) -> Result<bool, Exit> {
        let mut raw = Vec::with_capacity(BATCH);
        while raw.len() < BATCH {
            let Some(line) = self.lines.next_line()? else { break };
            raw.push(line);
        }
        if raw.is_empty() {
            return Ok(false);
        }
        let read: Vec<ImportLine> = raw.iter().map(|line| self.lines.read(line)).collect();
        let is_renamed = |line: &&ImportLine| line.user.as_ref().is_ok_and(|user| user.original_username.is_some());
        let renamed: Vec<_> = read.iter().filter(is_renamed).map(|line| line.number).collect();
        let rejected = self.app.imports().take_batch(&mut self.importing, read, self.lines.digest()).await?;
        let is_taken = |number: &&u64| rejected.iter().all(|rejected| rejected.line != **number);
        self.renamed += renamed.iter().filter(is_taken).count();
        for rejected in rejected {
            if let Ok(at) = raw.binary_search_by_key(&rejected.line, |line| line.number) {
                self.keep(&raw[at], &rejected)?;
            }
        }
        self.tell();
        Ok(true)
    }

    /// Writes a rejected line down, or shows it.
    fn keep(&mut self, line: &Line, Rejected { line: number, faults }: &Rejected) -> Result<(), Exit> {
        self.hints.extend(faults.iter().filter_map(hint));
        if let (Some(file), Some(path)) = (&mut self.rejects, &self.options.rejects) {
            let written = file.write(line, faults).and_then(|()| file.flush());
            return written.map_err(|error| unwritable(path, &error));
        }
        self.shown += 1;
        if self.shown <= SHOWN {
            for fault in faults {
                self.bar.suspend(|| eprintln!("line {number}: {} {}", fault.field, fault.message));
            }
        }
        Ok(())
    }

    /// Says how far it is.
    fn tell(&self) {
        let Counts { created, updated, skipped, rejected } = self.importing.import().counts;
        let lines = self.importing.import().counts.lines();
        let text =
            format!("{lines} lines: {created} created, {updated} updated, {skipped} skipped, {rejected} rejected");
        if self.bar.is_hidden() {
            if lines.is_multiple_of(EVERY) {
                eprintln!("{text}");
            }
            return;
        }
        self.bar.set_message(text);
        self.bar.set_position(self.lines.bytes());
    }
}
