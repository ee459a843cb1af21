/* The writing side of a database: the one connection that writes, what it knows by heart, and the
 * steps that writes and imports are made of. One thread at a time. */
#ifndef RECSYSD_STORE_SESSION_H
#define RECSYSD_STORE_SESSION_H

#include "database.h"
#include "recent.h"
#include "recsysd/store.h"

/* How far the numbering is. Copied before a step that may be undone, and copied back. */
struct rec_session_counts {
    uint32_t users, items, types;
    uint64_t recorded; /* also the last sequence number given out */
    uint64_t interactions;
};

struct rec_session {
    struct rec_database db;
    struct rec_recent *users,
        *items; /* the writer's; NULL: none. Of items those that are not deleted */
    struct rec_session_counts counts;
    struct rec_session_counts stored;                      /* as the last commit left them */
    char type_name[REC_TYPES_MAX][REC_TYPE_BYTES_MAX + 1]; /* the first counts.types are set */
};

/* Reads the counts and types of a migrated database into a session whose db is open. */
enum rec_status rec_session_load(struct rec_session *session, struct rec_error *err);

/* A transaction. Commit writes the counts and is durable when it returns OK; after a failure
 * everything since begin is undone, the counts too. */
enum rec_status rec_session_begin(struct rec_session *session, struct rec_error *err);
enum rec_status rec_session_commit(struct rec_session *session, struct rec_error *err);
void rec_session_rollback(struct rec_session *session);
/* After a step was undone or took an id away. */
void rec_session_forget(struct rec_session *session);

enum rec_status rec_session_set_meta(struct rec_session *session, const char *key, uint64_t value,
                                     struct rec_error *err);

/* Moves all of the WAL into the database and empties it. BUSY while somebody reads old pages. */
enum rec_status rec_session_truncate(struct rec_session *session, struct rec_error *err);

/* The index of an id that was checked before; given out when the id is new. */
enum rec_status rec_session_find_user(struct rec_session *session, const char *id, uint32_t *user,
                                      struct rec_error *err); /* REC_STORE_NONE: no such user */
enum rec_status rec_session_find_item(struct rec_session *session, const char *id, uint32_t *item,
                                      bool *deleted, struct rec_error *err);
enum rec_status rec_session_add_user(struct rec_session *session, const char *id, uint32_t *user,
                                     struct rec_error *err);
enum rec_status rec_session_add_item(struct rec_session *session, const char *id, uint32_t *item,
                                     struct rec_error *err);
enum rec_status rec_session_set_item(struct rec_session *session, uint32_t item, const char *title,
                                     bool hidden, bool deleted, struct rec_error *err);
/* Finds or adds; an item that was deleted comes back. */
enum rec_status rec_session_intern_item(struct rec_session *session, const char *id, uint32_t *item,
                                        bool *added, struct rec_error *err);
/* Finds or adds, checking the name when it is new. */
enum rec_status rec_session_intern_type(struct rec_session *session, const char *name,
                                        uint32_t *type, struct rec_error *err);

/* The stored row with this event id. *found false: there is none. */
struct rec_session_event {
    bool found;
    uint32_t user, item;
    uint64_t sequence;
};
enum rec_status rec_session_find_event(struct rec_session *session, const char *event_id,
                                       struct rec_session_event *out, struct rec_error *err);

/* Inserts a row whose sequence number was taken from counts.recorded. */
enum rec_status rec_session_add_row(struct rec_session *session, const struct rec_store_row *row,
                                    const char *event_id, struct rec_error *err);

/* ---- one write or element of it (apply.c) ------------------------------------ */

/* Not NULL, within the caps, finite. Whether ids are UTF-8 is checked where they are new. */
enum rec_status rec_apply_check_id(const char *field, const char *id, struct rec_error *err);
enum rec_status rec_apply_check_value(const struct rec_interaction *in, struct rec_error *err);

enum rec_status rec_apply_item(struct rec_session *session, const struct rec_item *in,
                               struct rec_recorded *out, struct rec_error *err);
/* The whole write, into the open transaction. */
enum rec_status rec_apply_write(struct rec_session *session, const struct rec_write *write,
                                struct rec_error *err);

#endif
