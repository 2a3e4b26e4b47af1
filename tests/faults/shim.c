/* Calls of the system that fail when they are told to: LD_PRELOAD=shim.so, then fault("pwrite", 3, 0, 28, "/folder").

   Only calls on files below one folder count, so that pipes and libraries go on. An error of -9 is kill -9 at that call.
   The counter is shared with the process that forked this one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char call[32], folder[PATH_MAX];
static int nth, ever, code;
static int *seen;

__attribute__((constructor)) static void start(void) {
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void fault(const char *which, int number, int always, int error, const char *below) {
    snprintf(call, sizeof call, "%s", which);
    snprintf(folder, sizeof folder, "%s", below);
    nth = number, ever = always, code = error, *seen = 0;
}

int calls(void) { return *seen; }

static int fails(const char *name, const char *path) {
    if (!call[0] || strcmp(name, call) || strncmp(path, folder, strlen(folder))) return 0;
    int count = __atomic_add_fetch(seen, 1, __ATOMIC_SEQ_CST);
    if (count != nth && !(ever && count > nth)) return 0;
    if (code < 0) kill(getpid(), -code);
    errno = code;
    return 1;
}

static int fails_at(const char *name, int fd) {
    char link[64], path[PATH_MAX];
    if (!call[0] || strcmp(name, call)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return fails(name, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) { return fails_at("write", fd) ? -1 : REAL(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return fails_at("pwrite", fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails_at("pwrite", fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}
int fsync(int fd) { return fails_at("fsync", fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails_at("fsync", fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { return fails_at("ftruncate", fd) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return fails_at("ftruncate", fd) ? -1 : REAL(ftruncate64)(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    return fails_at("posix_fallocate", fd) ? code : REAL(posix_fallocate)(fd, at, size);
}
int posix_fallocate64(int fd, off64_t at, off64_t size) {
    return fails_at("posix_fallocate", fd) ? code : REAL(posix_fallocate64)(fd, at, size);
}
int rename(const char *from, const char *to) { return fails("rename", to) ? -1 : REAL(rename)(from, to); }
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    return fails("renameat2", to) ? -1 : REAL(renameat2)(from_folder, from, to_folder, to, flags);
}
int mkdir(const char *path, mode_t mode) { return fails("mkdir", path) ? -1 : REAL(mkdir)(path, mode); }
int link(const char *from, const char *to) { return fails("link", to) ? -1 : REAL(link)(from, to); }
