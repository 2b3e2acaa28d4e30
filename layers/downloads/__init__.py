"""Files to take away: a version, or a part of it, in the formats that offices use."""
