/* A file mapped so that nobody can take it away under us.
 *
 * A mapped file that somebody cuts or writes over in place (`cp new.model model-file`) raises
 * SIGBUS or changes what was checked. So the file is mapped only under a read lease (Linux,
 * F_SETLEASE): the kernel makes whoever opens it for writing, or cuts it, wait until we have let
 * go, 45 seconds at most (/proc/sys/fs/lease-break-time). A thread looks for that a few times a
 * second; then it copies the bytes to memory of our own, puts the copy in the mapping's place in
 * one step (mremap), and gives the lease up. Readers notice nothing. Replacing a file by a rename,
 * as recsysd itself does, breaks no lease: the old file lives on until it is unmapped.
 *
 * A lease is worth something only where the kernel sees all that happens to the file, so only on
 * the file systems below, which are a machine's own; and it is given to the file's owner or root,
 * while nobody has the file open for writing. Everybody else reads the file into memory. */
#define _GNU_SOURCE 1 /* leases, mremap, MAP_ANONYMOUS */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "mapping.h"

enum { LOOK_EVERY_NS = 200 * 1000 * 1000, NS_PER_S = 1000000000 };

struct rec_mapping {
    unsigned char *bytes;
    size_t size;
    int fd; /* our own, with the lease; the thread's */
    pthread_t thread;
    pthread_mutex_t lock; /* guards the next two */
    bool ending, copied;
    pthread_cond_t end;
};

/* ---- the lease ------------------------------------------------------------------------ */

/* source: statfs(2), "f_type" */
static bool is_local(int fd) {
    static const unsigned long local[] = {0xef53 /* ext2 to ext4 */, 0x58465342 /* XFS */,
                                          0x9123683e /* Btrfs */, 0x01021994 /* tmpfs */};
    struct statfs where;
    bool found = false;
    if (fstatfs(fd, &where) != 0)
        return false;
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        found = found || ((unsigned long)where.f_type & 0xffffffff) == local[i];
    return found;
}

/* A lease belongs to an open file, and the caller's is closed after loading: one of our own, of the
 * same file whatever its name leads to by now. A broken lease is told by a signal; SIGURG is one
 * that nobody minds. */
static int open_leased(int fd) {
    char name[32] = "/proc/self/fd/";
    size_t at = strlen(name), digits = 1;
    for (int n = fd; n >= 10; n /= 10)
        digits++;
    for (size_t i = digits; i-- > 0; fd /= 10)
        name[at + i] = (char)('0' + fd % 10);
    int leased = open(name, O_RDONLY | O_CLOEXEC);
    if (leased >= 0 &&
        (fcntl(leased, F_SETSIG, SIGURG) != 0 || fcntl(leased, F_SETLEASE, F_RDLCK) != 0)) {
        (void)close(leased);
        leased = -1;
    }
    return leased;
}

/* The same bytes at the same place, in memory of our own. */
static bool replace_by_copy(const struct rec_mapping *mapping) {
    void *copy =
        mmap(NULL, mapping->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED)
        return false;
    memcpy(copy, mapping->bytes, mapping->size);
    bool done = mprotect(copy, mapping->size, PROT_READ) == 0 &&
                mremap(copy, mapping->size, mapping->size, MREMAP_MAYMOVE | MREMAP_FIXED,
                       mapping->bytes) != MAP_FAILED;
    if (!done)
        (void)munmap(copy, mapping->size);
    return done;
}

/* ---- the thread that looks -------------------------------------------------------------- */

/* Under the lock. False when it is time to end. */
static bool wait_a_little(struct rec_mapping *mapping) {
    uint64_t until_ns = rec_clock_monotonic_ns() + LOOK_EVERY_NS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    while (!mapping->ending)
        if (pthread_cond_timedwait(&mapping->end, &mapping->lock, &until) != 0)
            break;
    return !mapping->ending;
}

static void *look(void *context) {
    struct rec_mapping *mapping = context;
    (void)pthread_mutex_lock(&mapping->lock);
    while (wait_a_little(mapping)) {
        if (fcntl(mapping->fd, F_GETLEASE) == F_RDLCK)
            continue;
        (void)pthread_mutex_unlock(&mapping->lock);
        bool copied = replace_by_copy(mapping); /* no memory: again at the next look */
        (void)pthread_mutex_lock(&mapping->lock);
        mapping->copied = copied;
        if (!copied)
            continue;
        (void)fcntl(mapping->fd, F_SETLEASE, F_UNLCK);
        break;
    }
    (void)pthread_mutex_unlock(&mapping->lock);
    return NULL;
}

/* Signals are for the main thread, so this one starts with all of them blocked. */
static bool start(struct rec_mapping *mapping) {
    sigset_t all, before;
    pthread_condattr_t attr;
    int code = pthread_condattr_init(&attr);
    if (code == 0)
        code = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (code == 0)
        code = pthread_cond_init(&mapping->end, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (code != 0 || pthread_mutex_init(&mapping->lock, NULL) != 0)
        return false;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    code = pthread_create(&mapping->thread, NULL, look, mapping);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return code == 0;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void unmap(struct rec_mapping *mapping) {
    if (mapping->bytes != NULL)
        (void)munmap(mapping->bytes, mapping->size);
    if (mapping->fd >= 0)
        (void)close(mapping->fd); /* and the lease with it */
    rec_alloc_free(mapping);
}

struct rec_mapping *rec_mapping_create(int fd, size_t bytes) {
    struct rec_mapping *mapping = rec_alloc_array(1, sizeof(*mapping));
    if (mapping == NULL)
        return NULL;
    mapping->size = bytes;
    mapping->fd = is_local(fd) ? open_leased(fd) : -1;
    if (mapping->fd >= 0) {
        void *at = mmap(NULL, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, mapping->fd, 0);
        mapping->bytes = at == MAP_FAILED ? NULL : at;
    }
    /* Between the caller's look at the size and the lease somebody may have cut it. */
    if (mapping->bytes == NULL || lseek(mapping->fd, 0, SEEK_END) != (off_t)bytes ||
        !start(mapping)) {
        unmap(mapping);
        return NULL;
    }
    return mapping;
}

const unsigned char *rec_mapping_bytes(const struct rec_mapping *mapping) {
    return mapping->bytes;
}

bool rec_mapping_is_file(struct rec_mapping *mapping) {
    (void)pthread_mutex_lock(&mapping->lock);
    bool copied = mapping->copied;
    (void)pthread_mutex_unlock(&mapping->lock);
    return !copied;
}

void rec_mapping_destroy(struct rec_mapping **mapping_pointer) {
    struct rec_mapping *mapping = *mapping_pointer;
    if (mapping == NULL)
        return;
    *mapping_pointer = NULL;
    (void)pthread_mutex_lock(&mapping->lock);
    mapping->ending = true;
    (void)pthread_cond_signal(&mapping->end);
    (void)pthread_mutex_unlock(&mapping->lock);
    (void)pthread_join(mapping->thread, NULL);
    (void)pthread_cond_destroy(&mapping->end);
    (void)pthread_mutex_destroy(&mapping->lock);
    unmap(mapping);
}
