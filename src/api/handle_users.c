/* DELETE /users/{user_id}: erase a person. 204 means that it is on disk. */
#include "handlers.h"
#include "pending.h"

REC_HANDLER(rec_handle_users_delete) {
    return rec_pending_delete(context, exchange, REC_WRITE_USER_ERASE, "user_id");
}
