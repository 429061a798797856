// SPDX-License-Identifier: Apache-2.0
namespace * capture

/** The site has no page at this path. */
exception NotFound {
  1: string path
  2: string message
}

/**
 * A small site, to be watched.
 *
 * A network sniffer shows the packets of a port and needs administrator rights, and its user must
 * find the messages in the bytes. `ferry tap` shows whole messages by service, method, topic, queue
 * or session, needs only a right at the broker, and writes files that Wireshark opens.
 */
service Capture {
  /** Returns the text of a page. */
  string get(1: string path) throws (1: NotFound not_found)
}
