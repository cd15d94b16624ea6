// slab.h: a fixed number of equal slots with generations; taking and giving back allocates nothing.
//
// How it works: one mapping for all slots, touched only as far as slots were ever used. A slot is
// named by its index and its generation, which changes each time it is freed: a completion that
// carries an old generation belongs to a former life and is recognised by slab_get().
#pragma once

#include <stddef.h>
#include <stdint.h>

// First member of everything that lives in a slab.
struct rk_slot {
	uint32_t index;
	uint32_t generation; // odd while in use, 24 bits as in a tag
	uint32_t next_free;
};

struct rk_slab {
	unsigned char *memory;
	size_t slot_size;
	uint32_t capacity;
	uint32_t touched; // slots below were in use at least once
	uint32_t free_head;
	uint32_t used;
};

int slab_open(struct rk_slab *slab, size_t slot_size, uint32_t capacity); // 0 or -ENOMEM
void slab_close(struct rk_slab *slab);

// A slot, zeroed behind its struct rk_slot; NULL when all are taken.
void *slab_take(struct rk_slab *slab);
void slab_release(struct rk_slab *slab, void *slot);

static inline struct rk_slot *slab_at(const struct rk_slab *slab, uint32_t index)
{
	return (struct rk_slot *)(slab->memory + (size_t)index * slab->slot_size);
}

// The slot of that index when it still lives the life of that generation, else NULL.
static inline void *slab_get(const struct rk_slab *slab, uint32_t index, uint32_t generation)
{
	struct rk_slot *slot;

	if (index >= slab->touched)
		return NULL;
	slot = slab_at(slab, index);
	return slot->generation == generation ? slot : NULL;
}
