// list.h: intrusive doubly linked list; a node knows whether it is linked.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rk_node {
	struct rk_node *next, *previous; // both NULL: not linked
};

struct rk_list {
	struct rk_node head; // next = first, previous = last
};

#define RK_CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static inline void list_init(struct rk_list *list)
{
	list->head.next = list->head.previous = &list->head;
}
static inline bool list_is_empty(const struct rk_list *list)
{
	return list->head.next == &list->head;
}
static inline struct rk_node *list_first(const struct rk_list *list)
{
	return list_is_empty(list) ? NULL : list->head.next;
}
static inline bool node_is_linked(const struct rk_node *node)
{
	return node->next != NULL;
}
static inline void list_append(struct rk_list *list, struct rk_node *node)
{
	node->next = &list->head;
	node->previous = list->head.previous;
	node->previous->next = node;
	list->head.previous = node;
}
// Makes `list` what `from` was, which is empty afterwards.
static inline void list_take_all(struct rk_list *list, struct rk_list *from)
{
	list_init(list);
	if (list_is_empty(from))
		return;
	list->head = from->head;
	list->head.next->previous = list->head.previous->next = &list->head;
	list_init(from);
}
// Does nothing for a node that is in no list.
static inline void list_remove(struct rk_node *node)
{
	if (!node->next)
		return;
	node->previous->next = node->next;
	node->next->previous = node->previous;
	node->next = node->previous = NULL;
}
