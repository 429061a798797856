# SPDX-License-Identifier: Apache-2.0
namespace * dns

enum RecordType {
  /** An IPv4 address. */
  A = 1
  /** A name server of the domain. */
  NS = 2
  /** The name is an alias of another one. */
  CNAME = 5
  /** A host that takes the domain's mail. */
  MX = 15
  /** An IPv6 address. */
  AAAA = 28
}

/** One line of an answer. */
struct Record {
  /** With the dot at its end. */
  1: string name
  /** For how many seconds it may be cached. */
  2: i64 ttl
  /** "IN": the internet. */
  3: string cls
  4: RecordType type
  /** An address or a name. */
  5: string data
  /** Of MX: the lowest is tried first. */
  6: optional i32 preference
}

/** Where the mail hosts of a domain were found. */
enum MailSource {
  /** The domain names them: MX. */
  MX = 1
  /** The domain has no MX, but an address: the domain itself is the host. */
  ADDRESS = 2
  /** The domain is an alias, and the other domain has no MX, but an address. */
  CNAME = 3
}

struct MailHost {
  1: string host
  /** Of MX; otherwise 0. */
  2: i32 priority
  /** Empty for a host that the domain names but the DNS does not know. */
  3: list<string> addresses
}

struct MailHosts {
  1: MailSource source
  /** The domain at the end of its aliases. */
  2: string domain
  /** The hosts to try, in this order. */
  3: list<MailHost> hosts
}

/** NXDOMAIN: the name does not exist, with any type. */
exception NoSuchDomain {
  1: string domain
  2: string message
}

/** RFC 7505: the domain declares by the MX record "." that it accepts no mail. */
exception NoMail {
  1: string domain
  2: string message
}

/** The domain exists, and has neither MX nor A nor AAAA. */
exception NoMailHost {
  1: string domain
  2: string message
}

/** Aliases that lead back to themselves, or more than ten in a row. */
exception AliasLoop {
  /** The names, in order. */
  1: list<string> names
  2: string message
}

/** A name server reported that it cannot answer, or no server answered. */
exception ServerFailure {
  1: string domain
  /** Of the DNS: 2 is SERVFAIL, 5 REFUSED; -1: no answer at all. */
  2: i32 rcode
  3: string message
}

/** The name is longer than 255 bytes, or a part of it longer than 63. */
exception BadName {
  1: string domain
  2: string message
}

/** The whois server is not listed in WHOIS_ALLOW. */
exception NotAllowed {
  1: string host
  2: string message
}

/** The whois server could not be reached, or the connection broke. */
exception WhoisFailure {
  1: string host
  2: i32 os_errno
  /** The number of bytes that had arrived. */
  3: i64 received
  4: string message
}

/**
 * Questions to the domain name system.
 *
 * Asks the name servers of /etc/resolv.conf, or the ones in DNS_SERVERS ("127.0.0.1:53"), by UDP, and
 * by TCP when an answer is larger than a datagram. Nothing is taken from /etc/hosts.
 */
service Dns {
  /** The records of a name, of each requested type, in that order; absent: all five types. */
  list<Record> lookup(1: string domain, 2: optional list<RecordType> types) throws (1: NoSuchDomain no_such_domain, 2: ServerFailure server_failure, 3: BadName bad_name) (timeout = "10s")

  /**
   * The hosts that take a domain's mail, as RFC 5321 says.
   *
   * These are its MX records in the order of their preference; without MX records, the domain's own
   * address. Aliases are followed first.
   */
  MailHosts mail(1: string domain) throws (1: NoSuchDomain no_such_domain, 2: ServerFailure server_failure, 3: BadName bad_name, 4: NoMail no_mail, 5: NoMailHost no_mail_host, 6: AliasLoop alias_loop) (timeout = "20s")

  /** Asks a whois server about a domain: by default the first server in WHOIS_ALLOW. */
  string whois(1: string domain, 2: optional string server) throws (1: NotAllowed not_allowed, 2: WhoisFailure whois_failure, 3: BadName bad_name) (timeout = "10s")
}
