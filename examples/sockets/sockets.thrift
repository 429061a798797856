# SPDX-License-Identifier: Apache-2.0
namespace * sockets

enum Kind {
  /** TCP over IPv4. */
  TCP = 1
  /** UDP over IPv4. */
  UDP = 2
  TCP6 = 3
  UDP6 = 4
}

/** An option of a socket. */
struct Option {
  /** "SO_REUSEADDR" */
  1: string name
  /** "SOL_SOCKET", "IPPROTO_IP", "IPPROTO_TCP" */
  2: string level
  /** Its number within the level. */
  3: i32 number
  4: i32 value
  /** The name of the value, if it is a constant: "SOCK_STREAM", "IP_PMTUDISC_DO". */
  5: string meaning
}

/** Before and after. */
struct Change {
  1: i32 before
  2: i32 after
}

enum State {
  ESTABLISHED = 1
  SYN_SENT = 2
  SYN_RECV = 3
  FIN_WAIT1 = 4
  FIN_WAIT2 = 5
  TIME_WAIT = 6
  CLOSED = 7
  CLOSE_WAIT = 8
  LAST_ACK = 9
  LISTEN = 10
  CLOSING = 11
}

/** A socket of the server's machine: a line of `netstat -ano` and of `lsof -i`. */
struct Entry {
  1: Kind kind
  /** Received bytes that were not read; in LISTEN: connections that were not accepted. */
  2: i64 recv_queue
  /** Bytes that were sent and not acknowledged. */
  3: i64 send_queue
  4: string local_address
  5: i32 local_port
  /** "0.0.0.0" or "::" and port 0: any peer. */
  6: string remote_address
  7: i32 remote_port
  /** Of UDP: ESTABLISHED is connected, CLOSED is not. */
  8: State state
  /** "off", "on" (retransmission), "keepalive", "timewait" or "probe". */
  9: string timer
  /** Seconds until it fires. */
  10: double timer_left
  11: i32 retransmissions
  12: i64 uid
  13: i64 inode
  /** Absent: no process has it open, or the server may not see the process. */
  14: optional Owner owner
}

struct Owner {
  1: i32 pid
  2: string command
  3: i32 fd
}

/** Selects the sockets to list; an absent field selects all. */
struct Filter {
  1: optional i32 port
  2: optional State state
  3: optional Kind kind
}

/** A state of both ends of one connection, and what led to it. */
struct Step {
  1: string event
  /** Of the end that connects. */
  2: State client
  /** Of the end that accepts. */
  3: State server
}

/** A port that was bound again while the previous connection is in TIME_WAIT. */
struct Rebound {
  1: i32 port
  /** Of the previous connection. */
  2: State state
  3: bool reuse_address
}

/** A path of packets. */
struct Path {
  1: string address
  /** The longest packet that is not fragmented. */
  2: i32 mtu
  /** The longest text of a UDP datagram in it. */
  3: i32 payload
}

/** A system call failed. */
exception OsError {
  /** 98: EADDRINUSE */
  1: i32 os_errno
  /** "EADDRINUSE" */
  2: string name
  /** "bind" */
  3: string call
  /** "Address already in use" */
  4: string message
}

/** There is no option of this name. */
exception NoSuchOption {
  1: string name
  2: list<string> known
  3: string message
}

/** The text is not an address, or the number is outside its range. */
exception BadValue {
  1: string value
  2: string message
}

/**
 * Sockets of the server's machine: their numbers, options, states and owners.
 *
 * Options are read and set on a temporary socket, which exists only during the call.
 */
service Sockets {
  /**
   * The descriptors of `count` new sockets, 1 to 100; the last one is closed before its number is
   * read, which is then -1.
   */
  list<i32> filenos(1: i32 count = 3) throws (1: BadValue bad_value, 2: OsError os_error)

  /** An option of a new socket. */
  Option get_option(1: Kind kind, 2: string name) throws (1: NoSuchOption unknown, 2: OsError os_error, 3: BadValue bad_value)

  /** All options that such a socket has. */
  list<Option> options(1: Kind kind) throws (1: OsError os_error, 2: BadValue bad_value)

  /** Sets an option of a temporary socket. The kernel may change the value: it doubles SO_SNDBUF. */
  Change set_option(1: Kind kind, 2: string name, 3: i32 value) throws (1: NoSuchOption unknown, 2: OsError os_error, 3: BadValue bad_value)

  /**
   * The largest packet to an address, asked with IP_MTU after IP_MTU_DISCOVER = IP_PMTUDISC_DO.
   * Sends nothing.
   */
  Path path_mtu(1: string address) throws (1: OsError os_error, 2: BadValue bad_value)

  /**
   * Ends a connection from the listening side, then listens on its port again.
   *
   * Without reuse_address that fails with EADDRINUSE: TIME_WAIT holds the port for a minute.
   */
  Rebound rebind(1: bool reuse_address) throws (1: OsError os_error)

  /** Sockets with states and owners, as `netstat -ano` and `lsof -n -i` list them. */
  list<Entry> entries(1: optional Filter filter) throws (1: OsError os_error)

  /** The states of one connection on loopback, from LISTEN to TIME_WAIT, each as it is entered. */
  stream<Step> walk() throws (1: OsError os_error)
}
