# sources.bash: the lists of files that the lint scripts look at; run from the top of the tree.

c_sources() {
	find base config drivers engine nsctl tests bench -name '*.[ch]' | sort
}

scripts() {
	find .ci config tests bench -type f \
		\( -name '*.sh' -o -name '*.bash' -o -name '*.bats' -o -path .ci/run \) | sort
}
