// packet.c: a packet socket in the child's network namespace for a DHCP client on the host side.
//
// How it works: the rights over the namespace are needed to open the socket, not to use it. The
// kernel filters: all else that the interface receives costs a few instructions and no copy.

#include "drivers/packet.h"
#include "base/fd.h"
#include "base/netlink.h"
#include "drivers/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define DHCP_CLIENT_PORT 68

// Ethernet, IPv4, UDP, no later fragment, to DHCP's client port. The jumps count instructions to
// skip; the last one drops.
static int attach_filter(int fd)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 8),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 6),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, 4, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14), // the length of the IPv4 header
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_CLIENT_PORT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

// Receives nothing before bind(), so nothing comes past the filter.
static int open_socket(const void *name, struct rk_error *e)
{
	const char *ifname = name;
	RK_CLEANUP_FD int fd = -1;
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP)};
	unsigned index;
	int rc = link_set_up(ifname, e);

	if (rc == 0)
		rc = link_index(ifname, &index, e);
	if (rc < 0)
		return rc;
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(e, errno, "%s: open a packet socket", ifname);
	if (attach_filter(fd) < 0)
		return error_errno(e, errno, "%s: filter a packet socket", ifname);
	address.sll_ifindex = (int)index;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(e, errno, "%s: bind a packet socket", ifname);
	return fd_take(&fd);
}

int packet_open_dhcp(
	pid_t child, const char *ifname, uint8_t mac[ETHER_ADDR_LEN], struct rk_error *e)
{
	RK_CLEANUP_FD int fd = inside_open(child, ifname, open_socket, ifname, e);
	struct ifreq request = {.ifr_name = ""};

	if (fd < 0)
		return -e->code;
	memcpy(request.ifr_name, ifname, strnlen(ifname, sizeof(request.ifr_name) - 1));
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return error_errno(e, errno, "%s: read its hardware address", ifname);
	memcpy(mac, request.ifr_hwaddr.sa_data, ETHER_ADDR_LEN);
	return fd_take(&fd);
}
