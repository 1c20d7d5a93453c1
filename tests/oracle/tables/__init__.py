"""Page tables made by a generator, loaded into a real QEMU that runs no kernel."""
