// A disk that fails, preloaded (LD_PRELOAD) into the program under test. Calls that change what is below FAULT_ROOT are
// counted from 0.
//   FAULT_COUNT=FILE   the file gets one byte for each of them
//   FAULT_AT=K         call K, and with FAULT_ON=1 every later one too, fails with errno FAULT_ERROR; without FAULT_ERROR
//                      the process dies by kill -9 just before it
//   FAULT_SHADOW=DIR   what would survive a power cut is kept there: f-INODE, a file's bytes at its last fsync, and
//                      d-INODE, a folder's entries at its last fsync, lines of "TYPE INODE NAME"
//   FAULT_LIE=K        from call K on fsync says yes and does nothing
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long calls;

static long number(const char* name, long otherwise) {
  const char* text = getenv(name);
  return text ? atol(text) : otherwise;
}

static int below_root(const char* path) {
  const char* root = getenv("FAULT_ROOT");
  return root && path && strncmp(path, root, strlen(root)) == 0;
}

static void path_of(int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t n = readlink(link, path, PATH_MAX - 1);
  path[n < 0 ? 0 : n] = 0;
}

static int descriptor_below_root(int descriptor) {
  char path[PATH_MAX];
  path_of(descriptor, path);
  return below_root(path);
}

static int at_below_root(int folder, const char* name) {
  return name[0] == '/' ? below_root(name) : folder == AT_FDCWD ? 0 : descriptor_below_root(folder);
}

// Counts a call; nonzero if it has to fail, with errno set.
static int fails(void) {
  pthread_mutex_lock(&lock);
  const long call = calls++;
  pthread_mutex_unlock(&lock);
  if (getenv("FAULT_COUNT")) {
    const int file = REAL(open)(getenv("FAULT_COUNT"), O_WRONLY | O_APPEND | O_CREAT, 0666);
    if (REAL(write)(file, "x", 1) != 1) abort();
    close(file);
  }
  const long at = number("FAULT_AT", -1);
  if (at < 0 || call < at || (call > at && !getenv("FAULT_ON"))) return 0;
  if (!getenv("FAULT_ERROR")) kill(getpid(), SIGKILL);
  errno = (int)number("FAULT_ERROR", EIO);
  return 1;
}

static void keep_file(int descriptor, const char* to) {
  FILE* out = fopen(to, "we");
  char block[1 << 16];
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  const int in = REAL(open)(path, O_RDONLY | O_CLOEXEC);
  for (ssize_t n; (n = read(in, block, sizeof block)) > 0;) fwrite(block, 1, n, out);
  close(in);
  fclose(out);
}

static void keep_folder(int descriptor, const char* to) {
  FILE* out = fopen(to, "we");
  char path[PATH_MAX];
  path_of(descriptor, path);
  DIR* folder = opendir(path);
  for (struct dirent* entry; (entry = readdir(folder));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      fprintf(out, "%c %ju %s\n", entry->d_type == DT_DIR ? 'd' : 'f', (uintmax_t)entry->d_ino, entry->d_name);
  closedir(folder);
  fclose(out);
}

static void keep(int descriptor) {
  const char* shadow = getenv("FAULT_SHADOW");
  struct stat info;
  if (!shadow || fstat(descriptor, &info) != 0) return;
  char to[PATH_MAX], whole[PATH_MAX];
  snprintf(whole, sizeof whole, "%s/%c-%ju", shadow, S_ISDIR(info.st_mode) ? 'd' : 'f', (uintmax_t)info.st_ino);
  snprintf(to, sizeof to, "%s.new", whole);
  pthread_mutex_lock(&lock);
  S_ISDIR(info.st_mode) ? keep_folder(descriptor, to) : keep_file(descriptor, to);
  REAL(rename)(to, whole);
  pthread_mutex_unlock(&lock);
}

static int sync_file(int descriptor) {
  if (!descriptor_below_root(descriptor)) return 0;
  const long lie = number("FAULT_LIE", LONG_MAX);
  if (fails()) return -1;
  if (calls <= lie) keep(descriptor);
  return 0;
}

int fsync(int descriptor) { return sync_file(descriptor); }
int fdatasync(int descriptor) { return sync_file(descriptor); }

static int open_file(const char* path, int flags, mode_t mode) {
  if ((flags & O_CREAT) && below_root(path) && fails()) return -1;
  return REAL(open)(path, flags, mode);
}
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_file(path, flags, mode);
}

#define ON_DESCRIPTOR(type, name, parameters, arguments)   \
  type name parameters {                                   \
    if (descriptor_below_root(file) && fails()) return -1; \
    return REAL(name) arguments;                           \
  }
ON_DESCRIPTOR(ssize_t, write, (int file, const void* data, size_t n), (file, data, n))
ON_DESCRIPTOR(ssize_t, pwrite, (int file, const void* data, size_t n, off_t at), (file, data, n, at))
ON_DESCRIPTOR(ssize_t, pwrite64, (int file, const void* data, size_t n, off64_t at), (file, data, n, at))
ON_DESCRIPTOR(int, ftruncate, (int file, off_t size), (file, size))
ON_DESCRIPTOR(int, ftruncate64, (int file, off64_t size), (file, size))

#define ON_PATH(name, parameters, arguments)      \
  int name parameters {                           \
    if (below_root(path) && fails()) return -1;   \
    return REAL(name) arguments;                  \
  }
ON_PATH(mkdir, (const char* path, mode_t mode), (path, mode))
ON_PATH(unlink, (const char* path), (path))
ON_PATH(rmdir, (const char* path), (path))
ON_PATH(remove, (const char* path), (path))
ON_PATH(rename, (const char* path, const char* to), (path, to))
ON_PATH(link, (const char* path, const char* to), (path, to))

int unlinkat(int folder, const char* name, int flags) {
  if (at_below_root(folder, name) && fails()) return -1;
  return REAL(unlinkat)(folder, name, flags);
}
int mkdirat(int folder, const char* name, mode_t mode) {
  if (at_below_root(folder, name) && fails()) return -1;
  return REAL(mkdirat)(folder, name, mode);
}
int renameat2(int folder, const char* name, int to_folder, const char* to, unsigned flags) {
  if (at_below_root(folder, name) && fails()) return -1;
  return REAL(renameat2)(folder, name, to_folder, to, flags);
}
