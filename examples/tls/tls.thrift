# SPDX-License-Identifier: Apache-2.0
namespace * tls

/** How to connect. */
struct Settings {
  /** PEM: the authorities to trust. Absent: the ones that the machine trusts. */
  1: optional string authority
  /** Ciphers of TLS 1.2 and before, as OpenSSL lists them. TLS 1.3 has its own. */
  2: string ciphers = "ALL"
  /** "TLS" or "SSLv23": the newest that both know. Or "TLSv1.2", "TLSv1.3". */
  3: string protocol = "TLS"
  /** Show the certificate of TLS_CERTIFICATE, if the endpoint asks for one. */
  4: bool present_certificate = false
  /**
   * Refuse a certificate for another name. If it is off, `match` reports the difference, as in the
   * notes.
   */
  5: bool check_name = true
}

/** A certificate, with the fields of Python's `getpeercert()`. */
struct Certificate {
  1: string subject
  2: string issuer
  3: i32 version
  4: string serial
  5: string not_before
  6: string not_after
  /** "DNS:localhost", "IP Address:127.0.0.1" */
  7: list<string> alternatives
}

/** The number of trusted certificates and revocation lists in the context. */
struct Loaded {
  1: i32 crl
  2: i32 x509
  3: i32 x509_ca
}

/** Everything about a connection. */
struct Report {
  1: string address
  2: i32 port
  /** Absent: the peer showed none. */
  3: optional Certificate certificate
  /** Its common name and its DNS names. */
  4: list<string> names
  /** "Yes", or why not. */
  5: string match
  6: Loaded loaded
  /** "TLSv1.3" */
  7: string protocol
  8: string cipher
  /** The protocol version that defines the cipher. */
  9: string cipher_version
  10: i32 bits
  /** "none" */
  11: string compression
}

/** The certificate is not signed by a trusted authority. */
exception NotTrusted {
  /** X509_V_ERR_…: 18 self-signed, 19 self-signed in the chain, 20 unknown issuer. */
  1: i32 code
  /** 0: the endpoint's own certificate. */
  2: i32 depth
  3: string subject
  4: string message
}

/** The certificate has expired, or is not valid yet. */
exception Expired {
  1: i32 code
  2: string subject
  3: string not_before
  4: string not_after
  5: string message
}

/** The certificate is valid, but belongs to another host. */
exception WrongName {
  1: string host
  2: list<string> names
  3: string message
}

/** The endpoint requires a client certificate. */
exception CertificateWanted {
  1: string host
  2: string message
}

/** The handshake failed: no common protocol or cipher, or the endpoint does not use TLS. */
exception HandshakeFailure {
  1: string host
  /** OpenSSL's reason. */
  2: string message
}

/** No protocol of this name. */
exception NoSuchProtocol {
  1: string protocol
  2: list<string> known
  3: string message
}

/** A setting that OpenSSL refuses. */
exception BadSetting {
  1: string name
  2: string message
}

/** The name was not resolved, or no server answers. */
exception Unreachable {
  1: string host
  2: i32 port
  /** EAI_…, or 0. */
  3: i32 gai_code
  /** errno, or 0. */
  4: i32 os_errno
  5: string message
}

/** TLS_ALLOW does not list the host. */
exception NotAllowed {
  1: string host
  2: i32 port
  3: string message
}

/**
 * Describes a TLS endpoint.
 *
 * Connects, does the handshake, checks the certificate, and describes the connection. Nothing is
 * sent. An invalid certificate is always an exception, never a report.
 */
service Tls {
  Report describe(1: string host, 2: i32 port = 443, 3: optional Settings settings) throws (1: NotTrusted not_trusted, 2: Expired expired, 3: WrongName wrong_name, 4: CertificateWanted certificate_wanted, 5: HandshakeFailure handshake_failure, 6: NoSuchProtocol no_such_protocol, 7: BadSetting bad_setting, 8: Unreachable unreachable, 9: NotAllowed not_allowed) (timeout = "10s")
}
