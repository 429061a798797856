# SPDX-License-Identifier: Apache-2.0
namespace * shell

/** The longest time limit. */
const i32 LIMIT_MAX_MS = 60000

/** A command that the server allows. */
struct Command {
  1: string name
  /** The command line that runs. */
  2: string line
  /** True: the caller's arguments follow the line. False: the command takes no arguments. */
  3: bool takes_arguments
}

/** The end of a command: either the status or the signal is present. */
struct Exit {
  1: optional i32 status
  /**
   * The number of the signal that killed it, on this machine; over SSH only `text` has the name of
   * the signal.
   */
  2: optional i32 signal
  /** "exit status 0", "killed by SIGKILL" */
  3: string text
}

/** Output as it comes; the exit last. */
union Output {
  1: binary out
  2: binary err
  3: Exit exit
}

/** The user who logs in, and the host. */
struct Login {
  1: string host
  2: i32 port = 22
  3: string user
  /** Absent: the server's own key, SHELL_SSH_KEY. */
  4: optional string password
}

/** Bytes of a Telnet session as they are on the wire. */
struct Said {
  /** True: sent by the service. False: sent by the host. */
  1: bool by_us
  2: binary bytes
}

/** The command, its arguments or the host are not on the list. */
exception NotAllowed {
  1: string name
  2: list<string> allowed
  3: string message
}

/** The command ran for longer than its limit, and was killed with all its children. */
exception TimeLimit {
  1: i32 limit_ms
  2: string message
}

/** The program cannot be started. */
exception NotStarted {
  1: string name
  2: i32 os_errno
  3: string message
}

/** The host's key is not on the list, so the host cannot be identified. No login was tried. */
exception UnknownHostKey {
  1: string host
  /** "ssh-ed25519" */
  2: string type
  /** "SHA256:…", to compare with the host's own. */
  3: string fingerprint
  4: string message
}

/** The host's key differs from the key on the list: an impostor, or a new installation. */
exception ChangedHostKey {
  1: string host
  2: string type
  3: string fingerprint
  4: string message
}

/** The host does not accept the password or the key of this user. */
exception LoginRefused {
  1: string user
  /** The login methods of the host: "publickey", "password". */
  2: list<string> methods
  3: string message
}

/** The host could not be reached, or the connection broke. */
exception Unreachable {
  1: string host
  2: i32 os_errno
  3: string message
}

/** The host sent something else than the expected text. */
exception NotExpected {
  /** "login:" */
  1: string expected
  /** The text that was received. */
  2: binary received
  3: string message
}

/**
 * Commands on the server's machine and on others, by SSH and by Telnet.
 *
 * Only commands that SHELL_COMMANDS lists are run, by name and without a shell: arguments may
 * contain any characters. The service connects only to hosts that SHELL_ALLOW lists.
 */
service Shell {
  list<Command> commands()

  /**
   * Runs a command here.
   *
   * `input` is its standard input; its output comes as it is written. Closing the stream kills
   * the command.
   */
  stream<Output> run(
    1: string command,
    2: list<string> arguments = [],
    3: i32 limit_ms = 10000,
    4: stream<binary> input
  ) throws (1: NotAllowed not_allowed, 2: TimeLimit time_limit, 3: NotStarted not_started) (timeout = "70s")

  /**
   * Runs a command on a host, by SSH.
   *
   * The host's key must be in SHELL_KNOWN_HOSTS. The command named "terminal", where it is allowed, is a
   * login shell on a terminal: type into `input`.
   */
  stream<Output> ssh(
    1: Login login,
    2: string command,
    3: list<string> arguments = [],
    4: i32 limit_ms = 10000,
    5: stream<binary> input
  ) throws (1: NotAllowed not_allowed, 2: TimeLimit time_limit, 3: UnknownHostKey unknown_host_key, 4: ChangedHostKey changed_host_key, 5: LoginRefused login_refused, 6: Unreachable unreachable) (timeout = "70s")

  /**
   * Runs a command by Telnet, by waiting for each prompt: everything that was on the wire, password
   * included.
   */
  list<Said> telnet(
    1: string host,
    2: i32 port = 23,
    3: string user,
    4: string password,
    5: string command
  ) throws (1: NotAllowed not_allowed, 2: Unreachable unreachable, 3: NotExpected not_expected, 4: LoginRefused login_refused) (timeout = "10s")
}
