// slab.c: a fixed number of equal slots with generations.

#include "engine/slab.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define GENERATION_MASK 0xffffffu
#define NO_SLOT         UINT32_MAX

int slab_open(struct rk_slab *slab, size_t slot_size, uint32_t capacity)
{
	void *memory = mmap(NULL, slot_size * capacity, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*slab = (struct rk_slab){.slot_size = slot_size, .capacity = capacity};
	if (memory == MAP_FAILED)
		return -ENOMEM;
	slab->memory = memory;
	slab->free_head = NO_SLOT;
	return 0;
}

void slab_close(struct rk_slab *slab)
{
	if (slab->memory)
		munmap(slab->memory, slab->slot_size * slab->capacity);
	*slab = (struct rk_slab){0};
}

void *slab_take(struct rk_slab *slab)
{
	struct rk_slot *slot;

	if (slab->free_head != NO_SLOT) {
		slot = slab_at(slab, slab->free_head);
		slab->free_head = slot->next_free;
		memset(slot + 1, 0, slab->slot_size - sizeof(*slot));
	} else if (slab->touched < slab->capacity) {
		slot = slab_at(slab, slab->touched);
		slot->index = slab->touched++;
	} else {
		return NULL;
	}
	slot->generation = (slot->generation + 1) & GENERATION_MASK;
	slab->used++;
	return slot;
}

void slab_release(struct rk_slab *slab, void *pointer)
{
	struct rk_slot *slot = pointer;

	slot->generation = (slot->generation + 1) & GENERATION_MASK;
	slot->next_free = slab->free_head;
	slab->free_head = slot->index;
	slab->used--;
}
