/* How much memory a training may take when nobody says so.
 *
 * The machine's memory is not what a container or a service with MemoryMax has: there the kernel
 * kills whoever passes the control group's limit. So the smaller of the two counts. Groups above
 * one's own may have a lower limit yet; those who nest groups set memory-mb. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

/* The first line of a file, without its end. False when there is none. */
static bool read_line(const char *path, char *line, size_t cap) {
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    bool found = fgets(line, (int)cap, file) != NULL;
    (void)fclose(file);
    if (found)
        line[strcspn(line, "\n")] = '\0';
    return found;
}

/* Control groups, version 2: the group's path is in a line "0::/path". "max": no limit. */
static int64_t group_bytes(void) {
    char group[1024], path[1100], limit[64];
    int64_t bytes = INT64_MAX;
    if (!read_line("/proc/self/cgroup", group, sizeof(group)) || strncmp(group, "0::", 3) != 0)
        return INT64_MAX;
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group + 3);
    if (!read_line(path, limit, sizeof(limit)) ||
        rec_text_i64("memory.max", limit, 1, INT64_MAX, &bytes, NULL) != REC_OK)
        return INT64_MAX;
    return bytes;
}

size_t app_memory(const struct config *config) {
    int64_t asked = config_integer(config, SET_MEMORY);
    if (asked > 0)
        return (size_t)asked << 20;
    int64_t pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    int64_t machine = pages > 0 && page_bytes > 0 ? pages * page_bytes : INT64_MAX;
    int64_t group = group_bytes(), bytes = machine < group ? machine : group;
    return bytes == INT64_MAX ? 0 : (size_t)(bytes / 10 * 6);
}
