//! The real binary as a process of its own, in a folder of its own, on ports of the kernel's choice.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::config::marking_scope;
use super::lines::Lines;
use super::request::Request;
use super::waiting;
use super::{Answer, Config, Connection, Directory, Key};

/// The token of the admin API that every gateway here is started with.
pub(crate) const ADMIN_TOKEN: &str = "black-box-admin-token-of-more-than-enough-length";

/// How to start.
pub(crate) struct Launch {
    folder: TempDir,
    config: PathBuf,
    variables: Vec<(String, String)>,
    /// How many descriptors the process may have.
    descriptors: Option<u32>,
    /// Where the program lies, if it is to be exchanged.
    program: Option<PathBuf>,
}

impl Launch {
    /// `gateway.yaml` and `directory.yaml` in a new folder.
    pub(crate) fn files(gateway: &str, directory: &str) -> Launch {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("gateway.yaml"), gateway).unwrap();
        std::fs::write(folder.path().join("directory.yaml"), directory).unwrap();
        let config = folder.path().join("gateway.yaml");
        let variables = vec![("COLONNADE_ADMIN_TOKEN".to_owned(), ADMIN_TOKEN.to_owned())];
        Launch { folder, config, variables, descriptors: None, program: None }
    }

    /// A configuration from elsewhere; `directory.yaml` is in the new folder all the same.
    pub(crate) fn of_file(config: &Path, directory: &str) -> Launch {
        Launch { config: config.into(), ..Launch::files("", directory) }
    }

    #[must_use]
    pub(crate) fn variable(mut self, name: &str, value: impl ToString) -> Launch {
        self.variables.push((name.into(), value.to_string()));
        self
    }

    #[must_use]
    pub(crate) fn descriptors(mut self, most: u32) -> Launch {
        self.descriptors = Some(most);
        self
    }

    /// Runs by a name in the folder, in whose place another program can be put.
    #[must_use]
    pub(crate) fn replaceable(mut self) -> Launch {
        let name = self.folder.path().join("colonnade");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_colonnade"), &name).unwrap();
        self.program = Some(name);
        self
    }

    #[must_use]
    pub(crate) fn without_admin_token(mut self) -> Launch {
        self.variables.retain(|(name, _)| name != "COLONNADE_ADMIN_TOKEN");
        self
    }

    /// Another file beside them.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Where `directory.yaml` is.
    pub(crate) fn directory_path(&self) -> PathBuf {
        self.folder.path().join("directory.yaml")
    }

    fn program(&self) -> Command {
        const PROGRAM: &str = env!("CARGO_BIN_EXE_colonnade");
        if let Some(program) = &self.program {
            return Command::new(program);
        }
        let Some(most) = self.descriptors else { return Command::new(PROGRAM) };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), PROGRAM]);
        shell
    }

    fn spawn(&self) -> Child {
        self.program()
            .args(["run", "--config"])
            .arg(&self.config)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    /// Runs another command in the folder, with `input` on its standard input, and waits for it.
    pub(crate) fn command(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_colonnade"))
            .args(arguments)
            .env_clear()
            .env("COLONNADE_CONFIG", &self.config)
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // What reads no input has closed it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let (said, out) = Lines::gather(child.stdout.take().unwrap());
        let (complained, err) = Lines::gather(child.stderr.take().unwrap());
        let status = waiting::within(waiting::DEADLINE, || child.try_wait().unwrap());
        let _ = child.kill();
        let _ = child.wait();
        let _ = (out.join(), err.join());
        let said = said.all().join("\n");
        let text = format!("{said}\n{}", complained.all().join("\n"));
        let status = status.unwrap_or_else(|| panic!("{arguments:?} hangs: {text}"));
        Output { code: status.code(), said, text }
    }

    /// Starts what must not stay up: its status and everything it said.
    pub(crate) fn refused(&self) -> (Option<i32>, String) {
        let mut child = self.spawn();
        let (said, out) = Lines::gather(child.stdout.take().unwrap());
        let (complained, err) = Lines::gather(child.stderr.take().unwrap());
        let status = waiting::within(waiting::DEADLINE, || child.try_wait().unwrap());
        let _ = child.kill();
        let _ = child.wait();
        let _ = (out.join(), err.join());
        let text = [said.all(), complained.all()].concat().join("\n");
        (status.unwrap_or_else(|| panic!("it stayed up: {text}")).code(), text)
    }

    pub(crate) fn start(self) -> Gateway {
        let mut child = self.spawn();
        let (access, out) = Lines::gather(child.stdout.take().unwrap());
        let (log, err) = Lines::gather(child.stderr.take().unwrap());
        let mut gateway = Gateway {
            child,
            launch: self,
            proxies: Vec::new(),
            admin: String::new(),
            telemetry: String::new(),
            access,
            log,
            readers: vec![out, err],
            secrets: vec![ADMIN_TOKEN.into()],
            marks: 0,
            config_mark: None,
            stopped: false,
        };
        gateway.await_ready();
        gateway
    }
}

/// What a command came to.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) said: String,
    /// Standard output and standard error.
    pub(crate) text: String,
}

/// A running gateway. When the value goes, the process must still be alive, must not have panicked
/// and must not have logged a key; then it is killed.
pub(crate) struct Gateway {
    child: Child,
    launch: Launch,
    proxies: Vec<SocketAddr>,
    admin: String,
    telemetry: String,
    /// Standard output: the access log, unless the configuration says otherwise.
    pub(crate) access: Lines,
    /// Standard error: the program's log.
    pub(crate) log: Lines,
    readers: Vec<JoinHandle<()>>,
    secrets: Vec<String>,
    marks: u32,
    config_mark: Option<u32>,
    stopped: bool,
}

impl Gateway {
    pub(crate) fn start(config: &Config, directory: &Directory) -> Gateway {
        let mut gateway = Launch::files(&config.text(), &directory.text()).start();
        gateway.config_mark = Some(0);
        gateway.keep_secret(directory);
        gateway
    }

    /// No log may hold these keys, which is checked when the gateway goes.
    pub(crate) fn keep_secret(&mut self, directory: &Directory) {
        self.secrets.extend(directory.secrets());
    }

    fn await_ready(&mut self) {
        let child = &mut self.child;
        let log = &self.log;
        let ready = waiting::until("the line that says ready", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("ended before it was ready, {status}:\n{}", log.all().join("\n"));
            }
            log.json().into_iter().find(|line| line["fields"]["message"] == "ready")
        });
        let text = |name: &str| ready["fields"][name].as_str().unwrap_or_default().to_owned();
        self.proxies = text("proxy")
            .split(',')
            .map(|address| address.trim().parse().expect("an address"))
            .collect();
        self.admin = text("admin");
        self.telemetry = text("telemetry");
    }

    /// The process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.successors().last().copied().unwrap_or_else(|| self.child.id())
    }

    /// The process that was started first.
    pub(crate) fn first_pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that took over, one from the other.
    fn successors(&self) -> Vec<u32> {
        let told = |line: &Value| line["fields"]["message"] == "another process took over";
        let lines = self.log.json().into_iter().filter(told);
        lines.filter_map(|line| line["fields"]["pid"].as_u64()?.try_into().ok()).collect()
    }

    /// Lets the program, started anew, take over. The process before may still finish what is under way.
    pub(crate) fn exchange(&mut self) {
        self.exchange_during(|| ());
    }

    /// The same, while something else is done.
    pub(crate) fn exchange_during<T>(&mut self, meanwhile: impl FnOnce() -> T) -> T {
        let before = self.successors().len();
        self.signal("USR2");
        let done = meanwhile();
        waiting::until("another process to take over", || {
            (self.successors().len() > before).then_some(())
        });
        done
    }

    pub(crate) fn folder(&self) -> &Path {
        self.launch.folder.path()
    }

    /// The first proxy listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.proxies[0]
    }

    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.proxies
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    pub(crate) fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> Request {
        Request::new(self.address(), method, target)
    }

    /// Sends bytes on a connection of their own and reads one answer.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Answer {
        self.connect().exchange(bytes)
    }

    pub(crate) fn telemetry(&self, target: &str) -> Answer {
        Request::new(self.telemetry_address(), "GET", target).send()
    }

    pub(crate) fn telemetry_address(&self) -> SocketAddr {
        self.telemetry.parse().expect("the telemetry listener's address")
    }

    pub(crate) fn admin(&self, method: &str, target: &str) -> Request {
        Request::new(self.admin_address(), method, target)
            .header("Authorization", &format!("Bearer {ADMIN_TOKEN}"))
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.admin.parse().expect("the admin listener's address")
    }

    /// The sum of a metric's samples that have all these labels; 0 when there is none.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.settled_metrics();
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '))
            .filter(|(labels, _)| labels.is_empty() || labels.starts_with('{'))
            .filter(|(labels, _)| wanted.iter().all(|label| labels.contains(label.as_str())))
            .map(|(_, value)| value.parse::<f64>().expect("a sample"))
            .sum()
    }

    /// The metrics once no request is under way: an exchange is recorded a moment after its answer
    /// has arrived. A request that hangs on purpose is waited for in vain, and not for long.
    fn settled_metrics(&self) -> String {
        const WHILE: Duration = Duration::from_millis(500);
        let metrics = || self.telemetry("/metrics").text();
        let idle = |text: &String| text.lines().any(|line| line == "colonnade_inflight_requests 0");
        waiting::within(WHILE, || Some(metrics()).filter(idle)).unwrap_or_else(metrics)
    }

    /// The access-log line of a request; waits for it.
    pub(crate) fn access_line(&self, request_id: &str) -> Value {
        self.access.await_json("an access-log line", |line| line["request_id"] == request_id)
    }

    /// Swaps the directory and returns when it is in force.
    pub(crate) fn write_directory(&mut self, directory: &Directory) {
        self.marks += 1;
        let mark = self.mark();
        self.keep_secret(directory);
        self.secrets.push(mark.text.clone());
        self.write_file("directory.yaml", &directory.marked(&mark).text());
        self.await_mark(&mark);
    }

    /// Swaps configuration and directory and returns when both are in force.
    pub(crate) fn reload(&mut self, config: &Config, directory: &Directory) {
        self.config_mark = Some(self.config_mark.unwrap_or(0) + 1);
        self.write_file("gateway.yaml", &config.marked(self.config_mark.unwrap_or(0)));
        self.write_directory(directory);
    }

    /// A key that only the newest files know.
    fn mark(&self) -> Key {
        let scope = self.config_mark.map_or_else(|| "calls:read".into(), marking_scope);
        Key::new(&format!("mark_{}", self.marks), &[&scope]).with("data_scope", "org_full")
    }

    fn await_mark(&self, mark: &Key) {
        self.signal("HUP");
        let asks = self.get("/api/key").header("X-Request-Id", "mark").bearer(mark);
        let found =
            waiting::within(waiting::DEADLINE, || (asks.send().status == 200).then_some(()));
        assert!(found.is_some(), "the files are not in force:\n{}", self.log.all().join("\n"));
    }

    /// Writes a file that must not come into force, and returns when the log says so and names `fault`.
    pub(crate) fn reload_refused(&self, file: &str, text: &str, fault: &str) {
        let before = self.log.all().len();
        self.write_file(file, text);
        self.signal("HUP");
        waiting::until(&format!("a refused reload that names {fault:?}"), || {
            let lines = self.log.all();
            lines[before..]
                .iter()
                .any(|line| line.contains("reload failed") && line.contains(fault))
                .then_some(())
        });
    }

    /// Replaces a file of the folder at once.
    pub(crate) fn write_file(&self, name: &str, text: &str) {
        let draft = self.folder().join(format!("{name}.draft"));
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.folder().join(name)).unwrap();
    }

    /// `HUP`, `TERM` …
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(status.success(), "{command}: {status}");
    }

    /// Kills the process, if it still runs, and starts it again in the same folder.
    pub(crate) fn start_again(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.readers.drain(..).for_each(|reader| drop(reader.join()));
        self.child = self.launch.spawn();
        let (access, out) = Lines::gather(self.child.stdout.take().unwrap());
        let (log, err) = Lines::gather(self.child.stderr.take().unwrap());
        (self.access, self.log, self.readers) = (access, log, vec![out, err]);
        self.stopped = false;
        self.await_ready();
    }

    /// Another command in the gateway's folder.
    pub(crate) fn command(&self, arguments: &[&str], input: &[u8]) -> Output {
        self.launch.command(arguments, input)
    }

    /// A key's text that no log may hold.
    pub(crate) fn keep_key_secret(&mut self, text: &str) {
        self.secrets.push(text.to_owned());
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn await_end(&mut self) -> ExitStatus {
        self.stopped = true;
        let child = &mut self.child;
        waiting::until("the end of the process", || child.try_wait().unwrap())
    }

    /// Waits until the process that was started first has ended by itself.
    pub(crate) fn await_first_end(&mut self) -> ExitStatus {
        self.stopped |= self.successors().is_empty();
        let child = &mut self.child;
        waiting::until("the end of the first process", || child.try_wait().unwrap())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        let Some(pid) = self.successors().pop() else {
            return self.child.try_wait().unwrap().is_none();
        };
        // Nobody here is its parent: where nobody waits for it, it stays behind as a zombie.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }

    fn kill(&mut self) {
        if !self.successors().is_empty() && self.is_running() {
            self.signal("KILL");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let running = self.is_running();
        self.kill();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let said = [self.access.all(), self.log.all()].concat();
        if std::thread::panicking() {
            eprintln!("the gateway said:\n{}", self.log.all().join("\n"));
            return;
        }
        assert!(running || self.stopped, "the process has gone:\n{}", said.join("\n"));
        for line in &said {
            assert!(!line.contains("panicked at"), "a panic: {line}");
            let leaked = self.secrets.iter().find(|secret| line.contains(secret.as_str()));
            assert!(leaked.is_none(), "a secret in a log: {line}");
        }
    }
}
