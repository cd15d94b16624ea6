// deny-source.c: runs a program that lacks a part of what showing clients' addresses needs.
//
//   deny-source netfilter PROGRAM [ARGUMENT...]     socket(2) of NETLINK_NETFILTER:
//   EPROTONOSUPPORT,
//                                                   as on a kernel without nftables
//   deny-source untracked PROGRAM [ARGUMENT...]     a netlink message of more than 2 KiB:
//   EOPNOTSUPP,
//                                                   as on a kernel without nftables' "reject"
//   deny-source transparent PROGRAM [ARGUMENT...]   IP_TRANSPARENT and IPV6_TRANSPARENT: EPERM

#include <errno.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(member)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))
#define RETURN(action)      BPF_STMT(BPF_RET | BPF_K, (action))

static struct sock_filter netfilter[] = {
	LOAD(nr),
	UNLESS(SYS_socket, 5),
	LOAD(args[0]),
	UNLESS(AF_NETLINK, 3),
	LOAD(args[2]),
	UNLESS(NETLINK_NETFILTER, 1),
	RETURN(SECCOMP_RET_ERRNO | EPROTONOSUPPORT),
	RETURN(SECCOMP_RET_ALLOW),
};

static struct sock_filter untracked[] = {
	LOAD(nr),
	UNLESS(SYS_sendto, 5),
	LOAD(args[5]),
	UNLESS(sizeof(struct sockaddr_nl), 3),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 2048, 0, 1),
	RETURN(SECCOMP_RET_ERRNO | EOPNOTSUPP),
	RETURN(SECCOMP_RET_ALLOW),
};

static struct sock_filter transparent[] = {
	LOAD(nr),
	UNLESS(SYS_setsockopt, 8),
	LOAD(args[1]),
	UNLESS(IPPROTO_IP, 2),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IP_TRANSPARENT, 3, 4),
	UNLESS(IPPROTO_IPV6, 3),
	LOAD(args[2]),
	UNLESS(IPV6_TRANSPARENT, 1),
	RETURN(SECCOMP_RET_ERRNO | EPERM),
	RETURN(SECCOMP_RET_ALLOW),
};

static int deny(struct sock_filter *filter, size_t size)
{
	struct sock_fprog program = {(unsigned short)(size / sizeof(*filter)), filter};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	int rc = -1;

	if (argc < 3) {
		fprintf(stderr, "usage: deny-source netfilter|untracked|transparent PROGRAM "
				"[ARGUMENT...]\n");
		return 2;
	}
	if (strcmp(argv[1], "netfilter") == 0)
		rc = deny(netfilter, sizeof(netfilter));
	else if (strcmp(argv[1], "untracked") == 0)
		rc = deny(untracked, sizeof(untracked));
	else if (strcmp(argv[1], "transparent") == 0)
		rc = deny(transparent, sizeof(transparent));
	if (rc < 0) {
		fprintf(stderr, "deny-source: seccomp: %s\n", strerror(errno));
		return 1;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "deny-source: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
