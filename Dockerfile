# syntax=docker/dockerfile:1
# Labtrail's image: locked dependencies with hashes, no compiler, no root.

FROM python:3.11-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/labtrail
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN /opt/labtrail/bin/pip install --require-hashes -r requirements/run.txt
COPY . .
RUN /opt/labtrail/bin/pip install --no-deps --no-build-isolation .
RUN /opt/labtrail/bin/python -m compileall -q /opt/labtrail/lib

FROM python:3.11-slim-bookworm AS run
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/labtrail --create-home labtrail
COPY --from=build /opt/labtrail /opt/labtrail
ENV PATH=/opt/labtrail/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LABTRAIL_DATA=/var/lib/labtrail
USER 10001:10001
WORKDIR /var/lib/labtrail
VOLUME /var/lib/labtrail
EXPOSE 8080
ENTRYPOINT ["labtrail"]
CMD ["--help"]
