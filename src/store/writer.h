/* The writer thread and its queue. */
#ifndef RECSYSD_STORE_WRITER_H
#define RECSYSD_STORE_WRITER_H

#include "recsysd/store.h"
#include "session.h"

struct rec_writer;

/* Takes the connection of *session (leaves it empty) and starts the thread. */
enum rec_status rec_writer_create(struct rec_session *session, struct rec_writer **out,
                                  struct rec_error *err);
/* Commits what is queued and ends the thread; only destroy may follow. */
void rec_writer_stop(struct rec_writer *writer);
/* Empties the WAL and closes the connection of a stopped writer. NULL is fine. */
void rec_writer_destroy(struct rec_writer **writer);

/* Lends the session to the calling thread, once nothing is queued; until it is given back,
 * writes are refused with BUSY. CONFLICT when it is lent already. */
enum rec_status rec_writer_lend(struct rec_writer *writer, struct rec_session **out,
                                struct rec_error *err);
void rec_writer_give_back(struct rec_writer *writer);

/* A write of this room, through the queue like any other. */
struct rec_writer_job {
    struct rec_write base; /* first; see rec_writer_run */
    enum rec_status (*run)(struct rec_session *session, void *context, struct rec_error *err);
    void *context;
    enum rec_status status; /* the rest is under the writer's lock */
    struct rec_error err;
    bool done;
};

/* Queues the job and waits until it is committed or has failed. */
enum rec_status rec_writer_run(struct rec_writer *writer, struct rec_writer_job *job,
                               struct rec_error *err);

/* Proves that the disk takes writes: a commit not older than a few seconds does, else one is made.
 * IO when the disk does not answer within a second. */
enum rec_status rec_writer_probe(struct rec_writer *writer, struct rec_error *err);

enum rec_status rec_writer_submit(struct rec_writer *writer, struct rec_write *write,
                                  struct rec_error *err);
void rec_writer_flush(struct rec_writer *writer);

#endif
