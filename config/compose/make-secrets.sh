#!/bin/sh
# Make the passwords and keys that docker-compose.yml reads, each in a file of its own; existing ones stay.
#
#   sh config/compose/make-secrets.sh [FOLDER]
#
# Keep a copy of the folder where you keep keys: without patient_key nobody can decrypt the patients' names,
# without pepper nobody can sign in.
set -eu
folder=${1:-$(dirname "$0")/secrets}

mkdir -p "$folder"
chmod 700 "$folder" # the files are readable by the users of the containers, the folder by you alone
umask 022

random() {
	od -An -tx1 -N "$1" /dev/urandom | tr -d ' \n'
}

make() { # make NAME VALUE, unless it exists
	if [ ! -s "$folder/$1" ]; then
		printf '%s\n' "$2" >"$folder/$1.partial"
		mv "$folder/$1.partial" "$folder/$1"
	fi
}

make owner_password "$(random 24)"
make service_password "$(random 24)"
make grafana_password "$(random 12)"
make pepper "$(random 32)"
make patient_key "$(random 32)"

# the station's token for Alertmanager comes from `labtrail devices enroll`, once the station runs: docs/metrics.md
[ -e "$folder/alertmanager_token" ] || : >"$folder/alertmanager_token"

# addresses contain the passwords: written again each time
address() { # address FILE USER PASSWORD-FILE
	printf 'postgresql+psycopg://%s:%s@postgres:5432/labtrail\n' "$2" "$(cat "$folder/$3")" >"$folder/$1"
}
address owner_database labtrail_owner owner_password
address service_database labtrail_service service_password

echo "secrets are in $folder"
