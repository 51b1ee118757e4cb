/* SPDX-License-Identifier: MIT
 *
 * Makes the FAULT_STEP-th call that changes a file system fail or stop the program.
 *
 * FAULT_ACTION is an error number, "kill" (SIGKILL before the call) or "term" (SIGTERM, then the
 * call goes on). When it happens FAULT_MARK is created, so that the test knows it did. With
 * FAULT_EVERY=1 every later call of the same kind fails too. Output to stdout and stderr does not
 * count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int step;

/* Returns 1 when the call has to fail; errno is then set. */
static int fault(const char *call)
{
    const char *at = getenv("FAULT_STEP"), *action = getenv("FAULT_ACTION");
    const char *only = getenv("FAULT_CALLS"), *mark = getenv("FAULT_MARK");
    if (at == NULL || action == NULL || (only != NULL && strstr(only, call) == NULL))
        return 0;
    step++;
    if (step < atoi(at) || (step > atoi(at) && getenv("FAULT_EVERY") == NULL))
        return 0;
    if (mark != NULL) {
        long descriptor = syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_TRUNC, 0600);
        syscall(SYS_write, descriptor, call, strlen(call));
        syscall(SYS_close, descriptor);
    }
    if (strcmp(action, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(action, "term") == 0) {
        kill(getpid(), SIGTERM);
        return 0;
    }
    errno = atoi(action);
    return 1;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CALL(type, name, parameters, arguments)          \
    type name parameters                                 \
    {                                                    \
        REAL(name);                                      \
        return fault(#name) ? (type)-1 : real arguments; \
    }

CALL(int, fsync, (int fd), (fd))
CALL(int, rename, (const char *from, const char *to), (from, to))
CALL(int, renameat2, (int at, const char *from, int there, const char *to, unsigned int flags),
     (at, from, there, to, flags))
CALL(int, link, (const char *from, const char *to), (from, to))
CALL(int, unlink, (const char *path), (path))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group))
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size))

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(write);
    return fd > 2 && fault("write") ? -1 : real(fd, data, size);
}

int posix_fallocate64(int fd, off64_t start, off64_t size)
{
    REAL(posix_fallocate64);
    return fault("posix_fallocate") ? errno : real(fd, start, size);
}

int open64(const char *path, int flags, ...)
{
    REAL(open64);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return (flags & O_CREAT) && fault("open") ? -1 : real(path, flags, mode);
}
