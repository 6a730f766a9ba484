#include "daemon/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * About a tenth of what a busy worker gets. With the lowest priority a module of a daemon that has
 * its hands full would never become native, just when it should.
 */
#define PRIORITY 10
#define IOPRIO_IDLE (3 << 13) /* IOPRIO_CLASS_IDLE; there is no header for it */
#define IOPRIO_PROCESS 1

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0 /* else: terabytes of address space, and a look at the own threads at exit */
#endif

/* --- resources ---------------------------------------------------------------------------- */

static void
set_limit(int resource, uint64_t value)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
		return;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < value)
		value = limit.rlim_max;
	limit.rlim_cur = limit.rlim_max = value;
	(void)setrlimit((__rlimit_resource_t)resource, &limit);
}

void
confine_resources(const struct confine_limits *limits)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close_range(limits->descriptors_kept, ~0u, 0);
	if (limits->is_background) {
		(void)setpriority(PRIO_PROCESS, 0, PRIORITY);
		(void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
	}
	set_limit(RLIMIT_CORE, 0);
	if (limits->cpu_s > 0)
		set_limit(RLIMIT_CPU, limits->cpu_s);
	if (limits->descriptors_max > 0)
		set_limit(RLIMIT_NOFILE, limits->descriptors_max);
	set_limit(RLIMIT_FSIZE, limits->file_bytes);
	if (!IS_SANITIZED)
		set_limit(RLIMIT_AS, limits->memory_bytes);
}

/* --- system calls ------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#define DENY SECCOMP_RET_ERRNO | EPERM
#define ABSENT SECCOMP_RET_ERRNO | ENOSYS /* the C library then does without */
#define NUMBER_AT offsetof(struct seccomp_data, nr)
#define MACHINE_AT offsetof(struct seccomp_data, arch)
/* The lower half of an argument, on little-endian machines. */
#define ARGUMENT_AT(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define X32_BIT 0x40000000 /* calls of another ABI, under other numbers */

#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define RETURN(what) BPF_STMT(BPF_RET | BPF_K, (what))
#define DENY_CALL(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), RETURN(DENY)
/* Denied if the argument has one of the bits (is_set 1), or none of them (is_set 0). */
#define DENY_BITS(number, argument, bits, is_set) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4), LOAD(ARGUMENT_AT(argument)), \
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (is_set) ? 0 : 1, (is_set) ? 1 : 0), \
	    RETURN(DENY), RETURN(SECCOMP_RET_ALLOW)

#ifdef MACHINE
static const struct sock_filter filter[] = {
	LOAD(MACHINE_AT),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
	RETURN(DENY),
	LOAD(NUMBER_AT),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
	RETURN(DENY),

	/* threads, but no processes */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
	RETURN(ABSENT),
	DENY_BITS(SYS_clone, 0, CLONE_THREAD, 0),
	DENY_CALL(SYS_execve),
	DENY_CALL(SYS_execveat),

	/* files are read, not written */
	DENY_BITS(SYS_openat, 2, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
	RETURN(ABSENT),
	DENY_CALL(SYS_unlinkat),
	DENY_CALL(SYS_renameat2),
	DENY_CALL(SYS_linkat),
	DENY_CALL(SYS_symlinkat),
	DENY_CALL(SYS_mkdirat),
	DENY_CALL(SYS_mknodat),
	DENY_CALL(SYS_fchmod),
	DENY_CALL(SYS_fchmodat),
	DENY_CALL(SYS_fchown),
	DENY_CALL(SYS_fchownat),
	DENY_CALL(SYS_truncate),
	DENY_CALL(SYS_mount),
	DENY_CALL(SYS_umount2),
	DENY_CALL(SYS_chroot),
	DENY_CALL(SYS_pivot_root),
	DENY_CALL(SYS_unshare),
	DENY_CALL(SYS_setns),

	/* no other process, no network, no keys */
	DENY_CALL(SYS_kill),
	DENY_CALL(SYS_ptrace),
	DENY_CALL(SYS_process_vm_readv),
	DENY_CALL(SYS_process_vm_writev),
	DENY_CALL(SYS_pidfd_open),
	DENY_CALL(SYS_pidfd_getfd),
	DENY_CALL(SYS_pidfd_send_signal),
	DENY_CALL(SYS_socket),
	DENY_CALL(SYS_socketpair),
	DENY_CALL(SYS_shmget),
	DENY_CALL(SYS_msgget),
	DENY_CALL(SYS_semget),
	DENY_CALL(SYS_add_key),
	DENY_CALL(SYS_keyctl),
	DENY_CALL(SYS_request_key),
	DENY_CALL(SYS_bpf),
	DENY_CALL(SYS_perf_event_open),
	DENY_CALL(SYS_userfaultfd),
	DENY_CALL(SYS_io_uring_setup),

#ifdef SYS_open
	/* the older calls, which new machines do not have */
	DENY_BITS(SYS_open, 1, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 1),
	DENY_CALL(SYS_creat),
	DENY_CALL(SYS_fork),
	DENY_CALL(SYS_vfork),
	DENY_CALL(SYS_unlink),
	DENY_CALL(SYS_rename),
	DENY_CALL(SYS_renameat),
	DENY_CALL(SYS_link),
	DENY_CALL(SYS_symlink),
	DENY_CALL(SYS_mkdir),
	DENY_CALL(SYS_rmdir),
	DENY_CALL(SYS_mknod),
	DENY_CALL(SYS_chmod),
	DENY_CALL(SYS_chown),
	DENY_CALL(SYS_lchown),
#endif
	RETURN(SECCOMP_RET_ALLOW),
};

static bool
install(const struct sock_filter *code, size_t count)
{
	/* The kernel wants it writable, and does not write. */
	union {
		const struct sock_filter *given;
		struct sock_filter *taken;
	} pointer = { .given = code };
	const struct sock_fprog program = { (unsigned short)count, pointer.taken };

	if (IS_SANITIZED)
		return true;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool
confine_calls(void)
{
	return install(filter, sizeof filter / sizeof filter[0]);
}

/* --- only what is named ------------------------------------------------------------------- */

/* Nothing in these reaches another process or changes a file, whatever the arguments are. */
static const unsigned harmless[] = {
	/* memory */
	SYS_brk, SYS_mmap, SYS_mremap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mincore,
	SYS_msync, SYS_mlock, SYS_munlock, SYS_membarrier,
	/* threads of our own, and waiting */
	SYS_futex, SYS_set_robust_list, SYS_rseq, SYS_set_tid_address, SYS_sched_yield,
	SYS_sched_getaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
	SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_getcpu, SYS_gettid,
	SYS_exit, SYS_exit_group, SYS_restart_syscall, SYS_rt_sigaction, SYS_rt_sigprocmask,
	SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_rt_sigpending,
	SYS_sigaltstack, SYS_ppoll, SYS_pselect6, SYS_eventfd2, SYS_pipe2,
	/* time, and who we are */
	SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep,
	SYS_gettimeofday, SYS_times, SYS_getrusage, SYS_sysinfo, SYS_uname, SYS_getrandom,
	SYS_getpid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid,
	SYS_getpriority,
	/* files; those that are open for writing are ours */
	SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_write, SYS_writev, SYS_pwrite64,
	SYS_pwritev, SYS_lseek, SYS_close, SYS_close_range, SYS_dup, SYS_dup3, SYS_fstat,
	SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_readlinkat, SYS_getdents64, SYS_getcwd,
	SYS_fadvise64, SYS_statfs, SYS_fstatfs,
#ifdef SYS_open
	/* the older calls, which new machines do not have */
	SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_getdents, SYS_poll, SYS_select, SYS_dup2,
	SYS_time, SYS_arch_prctl, SYS_getrlimit,
#endif
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
#ifdef SYS_futex_waitv
	SYS_futex_waitv,
#endif
};

#define HARMLESS_COUNT (sizeof harmless / sizeof harmless[0])
#define STRICT_MAX (2 * HARMLESS_COUNT + 100)

#define ALLOW RETURN(SECCOMP_RET_ALLOW)
#define ALLOW_CALL(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), ALLOW
#define ABSENT_CALL(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), RETURN(ABSENT)
/* Allowed if the lower half of the argument is this value. */
#define ALLOW_VALUE(number, argument, value) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4), LOAD(ARGUMENT_AT(argument)), \
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, 1), ALLOW, LOAD(NUMBER_AT)
/* Allowed if the argument has none of the bits (is_set 0), or one of them (is_set 1). */
#define ALLOW_BITS(number, argument, bits, is_set) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4), LOAD(ARGUMENT_AT(argument)), \
	    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), (is_set) ? 0 : 1, (is_set) ? 1 : 0), \
	    ALLOW, LOAD(NUMBER_AT)

#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
#define NAME_MEMORY 0x53564d41 /* PR_SET_VMA, which glibc uses; not in all headers */

static size_t
append(struct sock_filter *code, size_t count, const struct sock_filter *more, size_t more_count)
{
	memcpy(code + count, more, more_count * sizeof *more);
	return count + more_count;
}

bool
confine_calls_strictly(void)
{
	const uint32_t self = (uint32_t)getpid();
	const struct sock_filter begin[] = {
		LOAD(MACHINE_AT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0),
		RETURN(DENY),
		LOAD(NUMBER_AT),
	};
	const struct sock_filter end[] = {
		ABSENT_CALL(SYS_clone3),
		ABSENT_CALL(SYS_openat2),
		ALLOW_BITS(SYS_clone, 0, CLONE_THREAD, 1),
		ALLOW_BITS(SYS_openat, 2, WRITING, 0),
#ifdef SYS_open
		ALLOW_BITS(SYS_open, 1, WRITING, 0),
#endif
		/* signals stay at home, also those that a descriptor could send */
		ALLOW_VALUE(SYS_tgkill, 0, self),
		ALLOW_VALUE(SYS_fcntl, 1, F_GETFD),
		ALLOW_VALUE(SYS_fcntl, 1, F_SETFD),
		ALLOW_VALUE(SYS_fcntl, 1, F_GETFL),
		ALLOW_VALUE(SYS_fcntl, 1, F_DUPFD),
		ALLOW_VALUE(SYS_fcntl, 1, F_DUPFD_CLOEXEC),
		/* limits of our own */
		ALLOW_VALUE(SYS_prlimit64, 0, 0),
		ALLOW_VALUE(SYS_prctl, 0, PR_SET_NAME),
		ALLOW_VALUE(SYS_prctl, 0, PR_GET_NAME),
		ALLOW_VALUE(SYS_prctl, 0, NAME_MEMORY),
		RETURN(DENY),
	};
	struct sock_filter code[STRICT_MAX];
	size_t count = append(code, 0, begin, sizeof begin / sizeof begin[0]);

	for (size_t i = 0; i < HARMLESS_COUNT; i++) {
		const struct sock_filter allow[] = { ALLOW_CALL(harmless[i]) };
		count = append(code, count, allow, 2);
	}
	count = append(code, count, end, sizeof end / sizeof end[0]);
	return install(code, count);
}
#else
bool
confine_calls(void)
{
	return false;
}

bool
confine_calls_strictly(void)
{
	return false;
}
#endif

/* --- files -------------------------------------------------------------------------------- */

#if defined(SYS_landlock_create_ruleset)

/* As the kernel has them by now; the headers of the machine that compiles may know fewer. */
struct ruleset {
	uint64_t files;
	uint64_t network;
	uint64_t scopes;
};

#define ALL_RIGHTS(count) ((UINT64_C(1) << (count)) - 1)

/* All that this kernel can take away. 0: it has no Landlock. */
static size_t
know_ruleset(struct ruleset *out)
{
	/* How many rights of files there are, by the version of the interface. */
	static const unsigned rights[] = { 0, 13, 14, 15, 15, 16 };
	const unsigned known = sizeof rights / sizeof rights[0] - 1;
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	                       LANDLOCK_CREATE_RULESET_VERSION);

	*out = (struct ruleset){ 0 };
	if (version <= 0)
		return 0;
	out->files = ALL_RIGHTS(rights[(unsigned long)version < known ? (unsigned)version : known]);
	if (version >= 4)
		out->network = ALL_RIGHTS(2);
	if (version >= 6)
		out->scopes = ALL_RIGHTS(2);
	if (version >= 6)
		return sizeof *out;
	return version >= 4 ? offsetof(struct ruleset, scopes) : offsetof(struct ruleset, network);
}

static void
permit_reading(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
	struct stat st;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	if (fstat(rule.parent_fd, &st) == 0 && S_ISDIR(st.st_mode))
		rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
	(void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

bool
confine_files(const char *const *paths)
{
	struct ruleset all;
	size_t size = know_ruleset(&all);

	if (IS_SANITIZED)
		return true;
	if (size == 0)
		return false;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (ruleset < 0)
		return false;
	for (; *paths != NULL; paths++)
		permit_reading(ruleset, *paths);
	bool is_done = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	               syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	close(ruleset);
	return is_done;
}
#else
bool
confine_files(const char *const *paths)
{
	(void)paths;
	return false;
}
#endif
