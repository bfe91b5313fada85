//! Pods of a node: their network, files, processes and ends. The node's processes are this program.

mod api;
mod hostile;
mod kubelet;
mod probes;
mod programs;
mod servers;
mod traffic;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clusterlocal_node::{Mount, Node, Pod, PodEvent, PodSandbox, Process, Separations, VERB, process};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, rest @ ..] = &arguments[..]
        && verb == VERB
    {
        return process(rest);
    }
    if let Some(code) = servers::run(&arguments) {
        return code;
    }
    if let [verb, rest @ ..] = &arguments[..]
        && verb == PROGRAM
    {
        return if programs::run(rest).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let trial = |name, test: fn()| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let mut trials = vec![
        trial("pods_reach_each_other", pods_reach_each_other),
        trial("a_node_that_is_cut_off_reaches_only_itself", a_node_that_is_cut_off_reaches_only_itself),
        trial("separated_pods_lose_their_packets", separated_pods_lose_their_packets),
        trial("connections_are_not_lost_while_endpoints_change", traffic::connections_are_not_lost),
        trial("datagrams_reach_an_endpoint", traffic::datagrams_reach_an_endpoint),
        trial("a_service_passes_half_of_the_direct_traffic", traffic::a_service_passes_half),
        trial("partitions_hold_for_services", traffic::partitions_hold_for_services),
        trial(
            "a_container_has_its_mounts_and_cannot_write_elsewhere",
            a_container_has_its_mounts_and_cannot_write_elsewhere,
        ),
        trial("processes_report_their_ends", processes_report_their_ends),
        trial("all_ends_with_the_pod", all_ends_with_the_pod),
        trial(ORDINARY_USER, all_of_it_works_without_root),
    ];
    macro_rules! trials {
        ($module:ident: $($test:ident),* $(,)?) => { trials.extend([$(trial(stringify!($test), $module::$test)),*]) };
    }
    trials!(kubelet:
        a_container_has_its_volumes,
        files_follow_their_objects,
        a_pod_has_the_token_of_its_service_account,
        init_containers_and_sidecars_start_in_order,
        hooks_run_after_the_start_and_before_the_end,
        hooks_that_fail_are_events,
        a_program_without_a_handler_ends_after_its_grace_period,
        waits_before_restarts_double,
        a_deadline_ends_a_pod,
        a_container_leaves_a_message,
        statuses_are_complete,
    );
    trials!(probes:
        a_liveness_probe_restarts_its_container,
        a_readiness_probe_asks_from_its_delay_on,
        http_probes_send_headers_and_follow_redirects,
        other_probes_wait_for_the_startup_probe,
        probes_ask_by_tcp_and_grpc,
    );
    trials!(hostile:
        programs_that_start_threads_without_end_are_bounded,
        long_logs_are_bounded,
        what_programs_remove_or_lock_is_cleaned_up,
        mounts_over_the_system_are_refused,
        links_in_volumes_do_not_lead_out,
        paths_that_the_caller_may_not_read_are_events,
        odd_names_stay_in_their_folders,
        volumes_that_are_not_supported_are_events,
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The argument with which this program becomes a program of a test.
const PROGRAM: &str = "__program";

/// The test that runs the others as an ordinary user.
const ORDINARY_USER: &str = "all_of_it_works_without_root";

/// User and group without rights of their own.
const OVERFLOW_ID: u32 = 65534;

fn all_of_it_works_without_root() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Where this program is, others may not read.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("pods");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(path, Some(OVERFLOW_ID), Some(OVERFLOW_ID)).unwrap();
    }
    let mut others = Command::new(&program);
    others
        .args(["--skip", ORDINARY_USER])
        .env("TMPDIR", folder.path())
        .current_dir("/")
        .uid(OVERFLOW_ID)
        .gid(OVERFLOW_ID);
    let ended = others.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

struct World {
    node: Arc<Node>,
    runtime: tokio::runtime::Runtime,
    scratch: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let program = std::env::current_exe().unwrap();
        let range = |text: &str| [text.parse().unwrap()];
        let node = Node::start(&program, &range("10.244.0.0/16"), &range("10.96.0.0/16")).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        World { node: Arc::new(node), runtime, scratch: tempfile::tempdir().unwrap() }
    }

    fn pod(&self, node: &str, address: &str) -> Pod {
        let _entered = self.runtime.enter();
        let sandbox = PodSandbox {
            node: node.into(),
            hostname: format!("pod-{}", address.rsplit('.').next().unwrap()),
            addresses: vec![address.parse().unwrap()],
        };
        self.node.create_pod(sandbox).unwrap()
    }

    fn script(&self, script: &str, mounts: Vec<Mount>) -> Process {
        let scratch = self.scratch.path().join("root");
        std::fs::create_dir_all(&scratch).unwrap();
        Process {
            argv: ["bash", "-c", script].map(String::from).into(),
            env: vec![("PATH".into(), std::env::var("PATH").unwrap())],
            working_dir: PathBuf::from("/"),
            mounts,
            scratch,
            user: self.node.caller(),
            ..Process::default()
        }
    }

    /// What a script prints, and its exit code.
    fn run(&self, pod: &Pod, script: &str, mounts: Vec<Mount>) -> (String, i32) {
        self.runtime.block_on(async {
            let output = self.start(pod, 1, None, &self.script(script, mounts)).await;
            assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id: 1 }));
            let code = match pod.event().await.unwrap() {
                Some(PodEvent::Exited { id: 1, code }) => code,
                event => panic!("{event:?}"),
            };
            (text(output), code)
        })
    }

    /// The lines that a program of a test writes, as the process `id` of the pod.
    fn lines(&self, pod: &Pod, id: u64, arguments: &[&str]) -> mpsc::Receiver<String> {
        let program = std::env::current_exe().unwrap();
        let mut process = self.script("", vec![]);
        process.argv = [program.to_str().unwrap(), PROGRAM]
            .into_iter()
            .chain(arguments.iter().copied())
            .map(String::from)
            .collect();
        let output = self.runtime.block_on(async {
            let output = self.start(pod, id, None, &process).await;
            assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id }));
            output
        });
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(File::from(output)).lines();
            lines.map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        lines
    }

    /// Kills a process, and waits for its end.
    async fn end(&self, pod: &Pod, id: u64) {
        pod.signal(id, 9).await.unwrap();
        let ended = pod.event().await.unwrap();
        assert!(matches!(ended, Some(PodEvent::Exited { id: of, .. }) if of == id), "{ended:?}");
    }

    async fn start(&self, pod: &Pod, id: u64, joins: Option<u64>, process: &Process) -> OwnedFd {
        let (output, written) = rustix::pipe::pipe().unwrap();
        let null: OwnedFd = File::open("/dev/null").unwrap().into();
        pod.start(id, joins, process, [null, written.try_clone().unwrap(), written]).await.unwrap();
        output
    }
}

fn text(output: OwnedFd) -> String {
    let mut text = String::new();
    File::from(output).read_to_string(&mut text).unwrap();
    text
}

/// Connects by TCP: refused is reached, because the pod answers.
fn connects(to: &str) -> String {
    format!("timeout 2 bash -c 'echo > /dev/tcp/{to}' 2>&1 | grep -om1 refused || echo no")
}

fn pods_reach_each_other() {
    let world = World::new();
    let (one, other) = (world.pod("node-1", "10.244.0.1"), world.pod("node-2", "10.244.3.2"));
    let (output, _) = world.run(&one, &format!("hostname; {}", connects("10.244.3.2/80")), vec![]);
    assert_eq!(output, "pod-1\nrefused\n");
    let (datagrams, _listener) = world.node.bind("10.96.0.10:53".parse().unwrap()).unwrap();
    let (_, code) = world.run(
        &other,
        "exec 3<>/dev/udp/10.96.0.10/53; echo hello >&3; read -t 5 line <&3 <&3; exit 0",
        vec![],
    );
    assert_eq!(code, 0);
    let mut received = [0; 64];
    let (length, from) = datagrams.recv_from(&mut received).unwrap();
    assert_eq!((&received[..length], from.ip().to_string().as_str()), (&b"hello\n"[..], "10.244.3.2"));
}

fn a_node_that_is_cut_off_reaches_only_itself() {
    let world = World::new();
    let here = world.pod("node-1", "10.244.0.1");
    let (_beside, _elsewhere) = (world.pod("node-1", "10.244.0.2"), world.pod("node-2", "10.244.0.3"));
    let _dns = world.node.bind("10.96.0.10:53".parse().unwrap()).unwrap();
    let reached = |address: &str| world.run(&here, &connects(&format!("{address}/80")), vec![]).0;
    for (connected, expected) in [(true, "refused\n"), (false, "no\n"), (true, "refused\n")] {
        world.node.connect("node-1", connected).unwrap();
        assert_eq!(reached("10.244.0.2"), "refused\n");
        assert_eq!(reached("10.244.0.3"), expected, "{connected}");
        // Services and the DNS are not of the node; its kubelet is.
        assert_eq!(reached("10.96.0.10"), expected, "{connected}");
        let dialed = world.runtime.block_on(world.node.dial("10.244.0.1:80".parse().unwrap()));
        assert_eq!(dialed.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused, "{connected}");
    }
}

/// Numbers that go to and fro over a connection stop, and go on where they stopped once the pods reach each other again. New
/// connections get no answer in either direction; others are not affected.
fn separated_pods_lose_their_packets() {
    let world = World::new();
    let _dns = world.node.bind("10.96.0.10:53".parse().unwrap()).unwrap();
    let addresses = ["10.244.0.1", "10.244.0.2", "10.244.0.3"];
    let one = world.pod("node-1", addresses[0]);
    let others = [world.pod("node-1", addresses[1]), world.pod("node-2", addresses[2])];
    let ip = |at: usize| addresses[at].parse().unwrap();
    for (at, other) in others.iter().enumerate() {
        let at = at + 1;
        let reaches =
            |from: &Pod, address: &str| world.run(from, &connects(&format!("{address}/80")), vec![]).0;
        let echo = world.lines(other, 7, &["echo"]);
        assert_eq!(echo.recv_timeout(SOON).unwrap(), "up");
        let numbers = world.lines(&one, 8, &["count", addresses[at]]);
        let mut last = numbers.recv_timeout(SOON).unwrap();
        let mut apart = Separations::default();
        apart.separate(ip(0), ip(at));
        world.node.separate(apart).unwrap();
        while let Ok(number) = numbers.recv_timeout(SILENCE) {
            last = number;
        }
        assert_eq!(reaches(&one, addresses[at]), "no\n");
        assert_eq!(reaches(other, addresses[0]), "no\n");
        for address in [addresses[3 - at], "10.96.0.10"] {
            assert_eq!(reaches(&one, address), "refused\n", "{address}");
        }
        assert!(numbers.try_recv().is_err());
        world.node.separate(Separations::default()).unwrap();
        let next = numbers.recv_timeout(SOON).unwrap();
        assert_eq!(next.parse::<u32>().unwrap(), last.parse::<u32>().unwrap() + 1);
        assert_eq!(reaches(&one, addresses[at]), "refused\n");
        for (pod, id) in [(&one, 8), (other, 7)] {
            world.runtime.block_on(world.end(pod, id));
        }
    }
    // One that is created while others are separated from it.
    let mut apart = Separations::default();
    apart.separate(ip(0), "10.244.0.9".parse().unwrap());
    world.node.separate(apart).unwrap();
    let late = world.pod("node-2", "10.244.0.9");
    assert_eq!(world.run(&late, &connects("10.244.0.1/80"), vec![]).0, "no\n");
    assert_eq!(world.run(&late, &connects("10.244.0.2/80"), vec![]).0, "refused\n");
}

/// Longest time for what happens at once, or after a few retransmissions of TCP.
const SOON: Duration = Duration::from_secs(20);

/// Time without a number after which the connection counts as silent: numbers follow each other at once.
const SILENCE: Duration = Duration::from_millis(500);

fn a_container_has_its_mounts_and_cannot_write_elsewhere() {
    let world = World::new();
    let pod = world.pod("node-1", "10.244.0.1");
    let volume = world.scratch.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(volume.join("file"), "contents").unwrap();
    let mount = |target: &str, read_only| Mount {
        source: volume.clone(),
        target: target.into(),
        read_only,
        ..Mount::default()
    };
    let mounts = vec![mount("/var/no/such/place", false), mount("/top", false), mount("/etc/locked", true)];
    let outside = Path::new("/var/lib/written-by-a-pod");
    let script = format!(
        "cat /var/no/such/place/file /top/file /etc/locked/file; echo; echo new > /top/new && echo written;
         (echo x > /etc/locked/x) 2>/dev/null || echo locked; (echo x > {outside}) 2>/dev/null || echo protected;
         (echo x > /x) 2>/dev/null || echo protected; test -d /var/lib && test -f /etc/passwd && echo there; id -u",
        outside = outside.display()
    );
    let (output, code) = world.run(&pod, &script, mounts);
    let user = nix::unistd::geteuid();
    let expected =
        format!("contentscontentscontents\nwritten\nlocked\nprotected\nprotected\nthere\n{user}\n");
    assert_eq!((output.as_str(), code), (expected.as_str(), 0));
    assert_eq!(std::fs::read_to_string(volume.join("new")).unwrap(), "new\n");
    assert!(!outside.exists());
    assert!(!Path::new("/var/no").exists());
}

fn processes_report_their_ends() {
    let world = World::new();
    let pod = world.pod("node-1", "10.244.0.1");
    world.runtime.block_on(async {
        let mut missing = world.script("", vec![]);
        missing.argv = vec!["no-such-program".into()];
        world.start(&pod, 1, None, &missing).await;
        let reason = "exec: \"no-such-program\": executable file not found in $PATH".to_string();
        assert_eq!(pod.event().await.unwrap(), Some(PodEvent::NotStarted { id: 1, reason }));

        let first = world
            .start(&pod, 2, None, &world.script("trap 'exit 7' TERM; echo $$; sleep 60 & wait", vec![]))
            .await;
        assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id: 2 }));
        // Its handler is there once it has written.
        let (mut first, mut number) = (File::from(first), [0; 2]);
        first.read_exact(&mut number).unwrap();
        let joined = world.start(&pod, 3, Some(2), &world.script("hostname; kill -TERM 1", vec![])).await;
        assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id: 3 }));
        let mut ends = [pod.event().await.unwrap().unwrap(), pod.event().await.unwrap().unwrap()];
        ends.sort_by_key(|end| matches!(end, PodEvent::Exited { id: 2, .. }));
        assert!(matches!(ends[0], PodEvent::Exited { id: 3, .. }), "{ends:?}");
        assert_eq!(ends[1], PodEvent::Exited { id: 2, code: 7 });
        assert_eq!((&number, text(joined).as_str()), (b"1\n", "pod-1\n"));

        world.start(&pod, 4, None, &world.script("sleep 60", vec![])).await;
        assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id: 4 }));
        pod.signal(4, 9).await.unwrap();
        assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Exited { id: 4, code: 137 }));
    });
}

/// Numbers of the processes of the machine whose arguments have `mark`.
fn processes_with(mark: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = all.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    arguments.filter(|bytes| String::from_utf8_lossy(bytes).contains(mark)).count()
}

fn all_ends_with_the_pod() {
    let world = World::new();
    let mark = format!("mark-{}", std::process::id());
    let script = format!("setsid sleep 1000 {mark}; sleep 1000 # {mark}");
    for by_node in [false, true] {
        let pod = world.pod("node-1", "10.244.0.1");
        let output = world.runtime.block_on(async {
            let script = format!("(exec -a {mark} sleep 1000) & echo up; {script}");
            let output = world.start(&pod, 1, None, &world.script(&script, vec![])).await;
            assert_eq!(pod.event().await.unwrap(), Some(PodEvent::Started { id: 1 }));
            output
        });
        let mut up = [0; 3];
        let mut output = File::from(output);
        output.read_exact(&mut up).unwrap();
        assert!(processes_with(&mark) > 0);
        if by_node {
            drop(pod);
            // End of file once the last process is gone.
            output.read_to_end(&mut Vec::new()).unwrap();
            assert_eq!(processes_with(&mark), 0);
            return;
        }
        drop(pod);
        output.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(processes_with(&mark), 0);
    }
}
