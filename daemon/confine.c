#include "daemon/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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
	(void)close_range(3, ~0u, 0);
	(void)setpriority(PRIO_PROCESS, 0, PRIORITY);
	(void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_IDLE);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_CPU, limits->cpu_s);
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

bool
confine_calls(void)
{
	/* The kernel wants it writable, and does not write. */
	union {
		const struct sock_filter *given;
		struct sock_filter *taken;
	} code = { .given = filter };
	const struct sock_fprog program = { sizeof filter / sizeof filter[0], code.taken };

	if (IS_SANITIZED)
		return true;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
#else
bool
confine_calls(void)
{
	return false;
}
#endif
