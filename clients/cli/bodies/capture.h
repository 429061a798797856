/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files of tapped messages: pcapng (draft-ietf-opsawg-pcapng), link type WIRESHARK_UPPER_PDU. Each
 * packet is one record of ferry.Broker.tap in MessagePack, with the tags that make Wireshark
 * dissect it as MessagePack and show the message's name as its summary.
 */

#include <ferry/ferry.h>
#include <stdbool.h>
#include <stdio.h>

enum {
    CAPTURE_RECORD_MAX = 1024 * 1024, /* bytes of one block of a file */
    CAPTURE_SUMMARY_MAX = 256,
};

/* Writes the head of a file. ferror() reports failures, here and below. */
void capture_begin(FILE *to);

/* Appends a record. sent: from the broker to the session. summary: a line for people. */
void capture_write(FILE *to, ferry_bytes record, uint64_t time_us, bool sent, const char *summary);

typedef struct CaptureReader {
    FILE *from;
    uint64_t offset;     /* of the next block */
    uint8_t *block;      /* the latest one, owned */
    const char *problem; /* set with -EPROTO: static text */
} CaptureReader;

/* Reads the head of a file. 0; -EPROTO: capture_write() did not write this file; -ENOMEM; -EIO. */
int capture_open(CaptureReader *reader, FILE *from);
void capture_close(CaptureReader *reader); /* does not close `from` */

/* 1: *ret is the next record, lent until the next call; 0: the file has ended; -EPROTO: the block
 * at reader->offset is malformed; -ENOMEM; -EIO. */
int capture_next(CaptureReader *reader, ferry_bytes *ret);
