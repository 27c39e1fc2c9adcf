"""One file per command group; ``supervisor`` starts and watches the processes; ``demo`` shows it all."""
