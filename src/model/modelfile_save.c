/* Writing model files; the format is told in modelfile.c. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "modelfile.h"
#include "tensors.h"

static const unsigned char zeros[FILE_ALIGNMENT];

static uint64_t tensor_checksum(const void *data, size_t bytes) {
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, data, bytes);
    XXH3_64bits_update(&state, zeros, (size_t)rec_modelfile_padded(bytes) - bytes);
    return XXH3_64bits_digest(&state);
}

static void fill_table(const struct rec_tensors *tensors, struct file_header *header) {
    uint64_t offset = header->used;
    for (size_t i = 0; i < tensors->count; i++) {
        const struct rec_tensor *tensor = &tensors->tensor[i];
        struct file_tensor *row = &header->part.table[i];
        size_t bytes = 0;
        bool fits = rec_tensors_bytes(tensor->type, tensor->rows, tensor->cols, &bytes);
        assert(fits); /* it is in memory */
        memcpy(row->name, tensor->name, sizeof(row->name));
        row->type = (uint32_t)tensor->type;
        row->rows = tensor->rows;
        row->cols = tensor->cols;
        row->offset = offset;
        row->bytes = bytes;
        row->checksum = tensor_checksum(tensor->data, bytes);
        offset += rec_modelfile_padded(bytes);
    }
    header->part.head.bytes = offset;
}

/* The model is asked for what it is; info only for what it cannot know. */
static enum rec_status fill_header(const struct rec_model *model, const struct rec_model_info *info,
                                   struct file_header *header, struct rec_error *err) {
    struct file_head *head = &header->part.head;
    memset(header, 0, sizeof(*header));
    header->used = rec_modelfile_header_bytes((uint32_t)model->tensors.count);
    memcpy(head->magic, FILE_MAGIC, sizeof(head->magic));
    head->order = FILE_ORDER;
    head->format = FILE_FORMAT;
    head->recorded = info->recorded;
    head->trained_at = info->trained_at;
    head->items = model->items;
    head->tensors = (uint32_t)model->tensors.count;
    (void)snprintf(head->version, sizeof(head->version), "%s", info->version);
    (void)snprintf(head->database, sizeof(head->database), "%s", info->database);
    (void)snprintf(head->family, sizeof(head->family), "%s", model->family->name);
    (void)snprintf(head->metrics, sizeof(head->metrics), "%s", info->metrics);
    size_t bytes = rec_params_write(&model->params, head->parameters, sizeof(head->parameters));
    if (bytes >= sizeof(head->parameters))
        return rec_error_set(err, REC_LIMIT, "the parameters take %zu bytes, a model file has %zu",
                             bytes, sizeof(head->parameters) - 1);
    const char *field = rec_modelfile_unclean_field(head);
    if (field != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "the model's %s cannot stand in a model file",
                             field);

    fill_table(&model->tensors, header);
    uint64_t checksum = rec_modelfile_checksum(header);
    memcpy(header->bytes + header->used - sizeof(checksum), &checksum, sizeof(checksum));
    return REC_OK;
}

static enum rec_status write_all(int fd, const void *data, size_t bytes, const char *path,
                                 struct rec_error *err) {
    const unsigned char *p = data;
    while (bytes > 0) {
        ssize_t n = write(fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return rec_error_set(err, REC_IO, "cannot write %.*s: %s", FILE_PATH_SHOWN, path,
                                 strerror(errno));
        p += n;
        bytes -= (size_t)n;
    }
    return REC_OK;
}

static enum rec_status write_model(int fd, const struct rec_model *model,
                                   const struct file_header *header, const char *path,
                                   struct rec_error *err) {
    enum rec_status st = write_all(fd, header->bytes, header->used, path, err);
    for (size_t i = 0; st == REC_OK && i < model->tensors.count; i++) {
        size_t bytes = (size_t)header->part.table[i].bytes;
        st = write_all(fd, model->tensors.tensor[i].data, bytes, path, err);
        if (st == REC_OK)
            st = write_all(fd, zeros, (size_t)rec_modelfile_padded(bytes) - bytes, path, err);
    }
    if (st == REC_OK && fsync(fd) != 0)
        st = rec_error_set(err, REC_IO, "cannot sync %.*s: %s", FILE_PATH_SHOWN, path,
                           strerror(errno));
    return st;
}

/* Without it the rename itself may be lost when the power goes. */
static enum rec_status sync_folder(const char *path, struct rec_error *err) {
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL) /* keeps the slash, so that "/model" gives "/" */
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path) + 1, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0)
        (void)close(fd);
    return synced ? REC_OK
                  : rec_error_set(err, REC_IO, "cannot sync the folder of %.*s: %s",
                                  FILE_PATH_SHOWN, path, strerror(reason));
}

enum rec_status rec_modelfile_save(const struct rec_model *model, const struct rec_model_info *info,
                                   const char *path, struct rec_error *err) {
    struct file_header header;
    char temp[PATH_MAX];
    int n = snprintf(temp, sizeof(temp), "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(temp))
        return rec_error_set(err, REC_BAD_INPUT, "the path %.*s... is too long", FILE_PATH_SHOWN,
                             path);
    enum rec_status st = fill_header(model, info, &header, err);
    if (st != REC_OK)
        return st;

    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return rec_error_set(err, REC_IO, "cannot create %.*s: %s", FILE_PATH_SHOWN, temp,
                             strerror(errno));
    st = write_model(fd, model, &header, temp, err);
    if (close(fd) != 0 && st == REC_OK)
        st = rec_error_set(err, REC_IO, "cannot close %.*s: %s", FILE_PATH_SHOWN, temp,
                           strerror(errno));
    if (st == REC_OK && rename(temp, path) != 0)
        st = rec_error_set(err, REC_IO, "cannot rename %.*s to its name without .tmp: %s",
                           FILE_PATH_SHOWN, temp, strerror(errno));
    if (st != REC_OK) {
        (void)unlink(temp);
        return st;
    }
    return sync_folder(path, err);
}
