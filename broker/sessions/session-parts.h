#pragma once

/* What the files of sessions share: session.c (what is said to them), hello.c (how they
 * begin and end), dispatch.c (what they say). */

#include "broker/broker.h"

/* FAULT, and the end of the connection. */
void peer_fault(Broker *broker, Peer *peer, const char *type, const char *text);
/* The same, logged: what a connection begins with is no client's HELLO. */
void peer_refuse(Broker *broker, Peer *peer, const char *type, const char *problem);

void session_hello(Broker *broker, Peer *peer, const Message *message);
