# SPDX-License-Identifier: Apache-2.0
namespace * probe

enum Family {
  /** Any family that the host has. */
  ANY = 0
  /** IPv4. */
  INET = 1
  /** IPv6. */
  INET6 = 2
}

/** One address that was tried. */
struct Attempt {
  1: string address
  /** 0: connected. 111 is ECONNREFUSED. */
  2: i32 os_errno
  /** "ECONNREFUSED"; empty: connected. */
  3: string name
  /** "Connection refused" */
  4: string reason
}

/** The host listens. */
struct Reached {
  /** The canonical name of the host. */
  1: string host
  2: string address
  3: i32 port
  4: Family family
  /** All attempts, the last one being this one. */
  5: list<Attempt> attempts
}

/** The name service found no address. */
exception NameFailure {
  1: string host
  /** EAI_…: -2 is EAI_NONAME. */
  2: i32 code
  3: string name
  /** "Name or service not known" */
  4: string message
}

/** The host has addresses; no connection to any of them was made. */
exception ConnectionFailure {
  1: string host
  2: i32 port
  /** Of the last attempt, as in Attempt. */
  3: i32 os_errno
  4: string name
  5: string message
  6: list<Attempt> attempts
}

/** PROBE_ALLOW lists the allowed hosts, and this host is not among them. */
exception NotAllowed {
  1: string host
  2: string service
  3: string message
}

/**
 * Whether a host listens on a port.
 *
 * Looks the host up, tries its addresses one after another until one accepts, and closes the
 * connection. Nothing is sent. There are three outcomes: the host listens, the name is unknown, no
 * connection is made.
 */
service Probe {
  /** Tries a port, by number or by the name of its service. */
  Reached connect(
    1: string host,
    2: string service = "http",
    3: Family family = Family.ANY
  ) throws (1: NameFailure name_failure, 2: ConnectionFailure connection_failure, 3: NotAllowed not_allowed) (timeout = "10s")
}
