# SPDX-License-Identifier: Apache-2.0
namespace * names

enum Family {
  /** Both. */
  ANY = 0
  /** IPv4: 127.0.0.1 */
  INET = 1
  /** IPv6: ::1 */
  INET6 = 2
}

enum Kind {
  ANY = 0
  /** TCP. */
  STREAM = 1
  /** UDP. */
  DGRAM = 2
  /** Packets of any protocol of IP. */
  RAW = 3
}

/** The seven flags of `getaddrinfo`. */
enum AddressFlag {
  /** Without a host: the wildcard address, to bind to; otherwise loopback, to connect to. */
  PASSIVE = 1
  /** Ask for the canonical name: `canonname` of the first result. */
  CANONNAME = 2
  /** The host must be an address: no name is looked up. */
  NUMERICHOST = 3
  /** The service must be a number: no name is looked up. */
  NUMERICSERV = 4
  /** With INET6: if the host has no IPv6 address, its IPv4 addresses as ::ffff:a.b.c.d. */
  V4MAPPED = 5
  /** With V4MAPPED: the mapped addresses as well as the IPv6 addresses. */
  ALL = 6
  /** Only families for which this machine has an address beside loopback. */
  ADDRCONFIG = 7
}

/** The five flags of `getnameinfo`. */
enum NameFlag {
  /** The address as text: no name is looked up. */
  NUMERICHOST = 1
  /** The port as digits: no name is looked up. */
  NUMERICSERV = 2
  /** Only the first part of a name in the server's own domain. */
  NOFQDN = 3
  /** Fail if the address has no name, instead of answering with the address. */
  NAMEREQD = 4
  /** The name of the UDP service. It differs from TCP's on a few ports, 514 for example. */
  DGRAM = 5
}

/** The five values that make a socket. */
struct AddressInfo {
  1: Family family
  2: Kind kind
  /** Of IP: 6 is TCP, 17 UDP. */
  3: i32 protocol
  /** Of the first result, with CANONNAME; otherwise empty. */
  4: string canonname
  5: string address
  6: i32 port
}

struct NameInfo {
  1: string host
  2: string service
}

struct Host {
  1: string name
  2: list<string> aliases
  3: list<string> addresses
}

/** The resolver has no answer. */
exception GaiError {
  /** EAI_…: -2 is EAI_NONAME, "Name or service not known". */
  1: i32 code
  /** "EAI_NONAME" */
  2: string name
  3: string message
  /** Of EAI_SYSTEM. */
  4: optional i32 os_errno
}

/** An address has no name. */
exception HostError {
  /** h_errno: 1 is HOST_NOT_FOUND. */
  1: i32 code
  2: string message
}

/** /etc/services has no entry. */
exception NoSuchService {
  1: string service
  /** Empty: any. */
  2: string protocol
  3: string message
}

/** /etc/protocols has no entry. */
exception NoSuchProtocol {
  1: string protocol
  2: string message
}

/** The text is not an address of this family, or the number of bytes is wrong. */
exception BadAddress {
  1: string address
  /** The given number of bytes, and the expected one: 4 or 16. Absent for text. */
  2: optional i32 received
  3: optional i32 expected
  4: string message
}

/** A number is outside its range. */
exception OutOfRange {
  1: i64 value
  2: i64 low
  3: i64 high
  4: string message
}

/**
 * Names of hosts, services and protocols, and the numbers behind them.
 *
 * The functions of <netdb.h> and <arpa/inet.h> on the server's machine, one method for each, with
 * the same names. Lookups ask /etc/hosts and then the DNS, as /etc/nsswitch.conf says.
 */
service Names {
  /** The name of the server's machine. */
  string gethostname()

  /** The first IPv4 address of a host. */
  string gethostbyname(1: string host) throws (1: GaiError gai)

  /** The names of an address. */
  Host gethostbyaddr(1: string address) throws (1: GaiError gai, 2: HostError host)

  /** The full name of a host (absent: of this machine): its first name that has a dot. */
  string getfqdn(1: optional string host)

  /**
   * Everything needed to make a socket to, or for, a host and a service.
   *
   * Create the socket with family, kind and protocol of a result, and connect or bind it to
   * address and port. At least one of host and service must be there.
   */
  list<AddressInfo> getaddrinfo(
    1: optional string host,
    2: optional string service,
    3: Family family = Family.ANY,
    4: Kind kind = Kind.ANY,
    5: i32 protocol = 0,
    6: set<AddressFlag> flags = []
  ) throws (1: GaiError gai)

  /** The reverse: names for an address and a port. */
  NameInfo getnameinfo(1: string address, 2: i32 port, 3: set<NameFlag> flags = []) throws (1: GaiError gai, 2: BadAddress bad_address, 3: OutOfRange range)

  /** The port of a service; protocol "tcp", "udp", or absent: any. */
  i32 getservbyname(1: string service, 2: optional string protocol) throws (1: NoSuchService unknown)

  /** The service on a port. */
  string getservbyport(1: i32 port, 2: optional string protocol) throws (1: NoSuchService unknown, 2: OutOfRange range)

  /** The number of a protocol of IP: 6 for "tcp". Capitals do not matter. */
  i32 getprotobyname(1: string protocol) throws (1: NoSuchProtocol unknown)

  /** An address as text (presentation) to 4 or 16 bytes (network). */
  binary inet_pton(1: Family family, 2: string address) throws (1: BadAddress bad_address)

  /** 4 or 16 bytes to text. */
  string inet_ntop(1: Family family, 2: binary packed) throws (1: BadAddress bad_address)

  /** 16 bits from the server's byte order to the network's, as a number: 80 becomes 20480. */
  i32 htons(1: i32 value) throws (1: OutOfRange range)
  i32 ntohs(1: i32 value) throws (1: OutOfRange range)

  /** 32 bits likewise. */
  i64 htonl(1: i64 value) throws (1: OutOfRange range)
  i64 ntohl(1: i64 value) throws (1: OutOfRange range)
}
